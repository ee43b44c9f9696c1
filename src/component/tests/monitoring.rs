//! What watches the stack, before the daemons' own checkers: every file as a snapshot, every alert in a world where it must
//! be told and in one where it must not.

use super::*;
use serde_json::{Value, json};

/// What each daemon reads, beside what everybody has.
const FILES: &[(&str, &str)] = &[
    ("lb-01", "/etc/default/prometheus"),
    ("lb-01", "/etc/default/prometheus-alertmanager"),
    ("lb-01", "/etc/default/prometheus-blackbox-exporter"),
    ("lb-01", "/etc/prometheus/alertmanager.yml"),
    ("lb-01", "/etc/prometheus/blackbox.yml"),
    ("lb-01", "/etc/prometheus/foobar.rules.yml"),
    ("lb-01", "/etc/prometheus/prometheus.yml"),
    ("lb-01", "/etc/prometheus/consoles/stack.html"),
    ("web-01", "/etc/default/prometheus-mysqld-exporter"),
    ("web-01", "/etc/default/prometheus-nginx-exporter"),
    ("web-01", "/etc/default/prometheus-node-exporter"),
    ("lb-01", "/etc/foobar/measures.sh"),
    ("web-01", "/etc/foobar/measures.sh"),
    ("web-01", "/etc/systemd/system/foobar-measures.service"),
    ("web-01", "/etc/systemd/system/foobar-measures.timer"),
    ("web-01", "/etc/foobar/firewall.nft"),
    ("web-01", "/etc/foobar/mysqld-exporter.cnf"),
];

#[test]
fn every_file_of_a_watched_site() {
    let site = testing::site(testing::watched());
    for (host, path) in FILES {
        insta::assert_snapshot!(format!("watched-{host}{}", path.replace('/', "-")), file(&site, host, path));
    }
    // Nothing of it where nobody watches, and what watches nothing but hosts has no rule about what is not there.
    let plain = testing::site(testing::topology());
    assert!(files(&plain, "web-01").keys().all(|path| !path.contains("exporter")));
    let rules = file(&testing::site(hosts_alone()), "lb-01", "/etc/prometheus/foobar.rules.yml");
    for word in ["haproxy_", "nginx_", "mysql_", "probe_"] {
        assert!(!rules.contains(word), "{word} in {rules}");
    }
    // Who holds an address is told where it may move, and by those that may hold it.
    let tells = |topology: Topology, host: &str| {
        file(&testing::site(topology), host, "/etc/default/prometheus-node-exporter").contains("address-info")
    };
    assert!(tells(pair(), "lb-02") && !tells(pair(), "web-01") && !tells(testing::watched(), "lb-01"));
    let rules = |topology| file(&testing::site(topology), "lb-01", "/etc/prometheus/foobar.rules.yml");
    assert!(rules(pair()).contains("10.77.0.100") && !rules(testing::watched()).contains("node_network_address_info"));
}

/// A pair of balancers, watched from the first.
fn pair() -> Topology {
    Topology { monitoring: testing::watched().monitoring, ..testing::pair(Mode::ActivePassive) }
}

fn hosts_alone() -> Topology {
    Topology { haproxy: None, nginx: None, app: None, mysql: None, ..testing::watched() }
}

#[test]
fn the_host_that_watches_is_let_in_and_nobody_else() {
    let site = testing::site(testing::watched());
    let endpoints: Vec<Endpoint> = all(&site).iter().flat_map(|c| c.endpoints(&site)).collect();
    let watched: Vec<&Endpoint> = endpoints.iter().filter(|e| e.component == "monitoring").collect();
    let lb: HostName = "lb-01".parse().unwrap();
    let local = [names::PROMETHEUS.1, names::ALERTMANAGER.1, names::BLACKBOX_EXPORTER.1];
    assert_eq!(watched.len(), 3 + 1 + 2 + 2 + local.len());
    for endpoint in watched {
        let only = if endpoint.host == lb { vec![] } else { vec![lb.clone()] };
        let wanted = if local.contains(&endpoint.port) { Peers::Loopback } else { Peers::Hosts(only) };
        assert_eq!(endpoint.from, wanted, "{endpoint:?}");
    }
}

#[test]
fn the_exporter_of_the_database_has_no_right_to_data() {
    for engine in [Engine::Mariadb, Engine::Mysql] {
        let mut topology = testing::watched();
        topology.mysql.as_mut().unwrap().engine = engine;
        let site = testing::site(topology);
        let mut desired = Desired::default();
        for component in all(&site) {
            component.resources(&site, &mut desired).unwrap();
        }
        let said =
            desired.wanted.iter().map(|w| format!("{:?}", w.resource)).find(|s| s.starts_with("Database ")).unwrap();
        let (_, after) = said.split_once("name: \"foobar_exporter\"").unwrap();
        let login = after.split_once("locked").unwrap().0;
        assert!(login.contains("PROCESS") && !login.contains("SELECT") && login.contains("on: None"), "{login}");
        let homes = &desired.secrets.iter().find(|s| s.name == names::EXPORTER.1).unwrap().homes;
        assert_eq!(homes.iter().map(HostName::as_str).collect::<Vec<_>>(), ["web-01", "web-02"]);
    }
}

/// Every file below `/etc/prometheus`, in a directory where each finds the others.
fn written(scratch: &Scratch, topology: Topology) {
    let site = testing::site(topology);
    for (path, text) in files(&site, "lb-01").into_iter().filter(|(p, _)| p.starts_with("/etc/prometheus/")) {
        let text = text.replace("/etc/prometheus/", &format!("{}/", scratch.0.display()));
        scratch.write(path.rsplit('/').next().unwrap(), &text);
    }
}

#[test]
fn prometheus_and_alertmanager_accept_every_configuration() {
    let (Some(promtool), Some(amtool)) = (checker("promtool"), checker("amtool")) else { return };
    let Some(blackbox) = checker("prometheus-blackbox-exporter") else { return };
    let ipv6 = Topology { monitoring: testing::watched().monitoring, ..other() };
    let mut silent = testing::watched();
    silent.monitoring.as_mut().unwrap().alerts = Alerts::default();
    silent.mysql.as_mut().unwrap().replicas.clear();
    let both = Topology { monitoring: testing::watched().monitoring, ..testing::pair(Mode::ActiveActive) };
    let certified = Topology { monitoring: testing::watched().monitoring, ..testing::certified() };
    let all = [testing::watched(), ipv6, hosts_alone(), silent, pair(), both, certified];
    for (n, topology) in all.into_iter().enumerate() {
        let scratch = Scratch::new(&format!("prometheus-{n}"));
        written(&scratch, topology);
        let at = |name: &str| scratch.0.join(name).display().to_string();
        run(&promtool, &["check", "config", &at("prometheus.yml")]);
        run(&promtool, &["check", "rules", &at("foobar.rules.yml")]);
        // In the place of a secret stands what is shown of it, which is no URL.
        let text = std::fs::read_to_string(at("alertmanager.yml")).unwrap();
        let hook = text.lines().find(|l| l.contains("url: ")).map(str::to_owned);
        let text =
            hook.map_or(text.clone(), |line| text.replace(&line, "      - url: \"https://hooks.example.com/x\""));
        run(&amtool, &["check-config", &scratch.write("alertmanager.yml", &text)]);
        if scratch.0.join("blackbox.yml").exists() {
            run(&blackbox, &["--config.check", "--config.file", &at("blackbox.yml")]);
        }
    }
}

/// A world without a fault: each series with its value, or with its growth at every step.
const SOUND: &[(&str, &str)] = &[
    ("up{job='node',host='web-01',instance='10.77.0.21:9100'}", "1"),
    ("up{job='nginx',host='web-01'}", "1"),
    ("up{job='haproxy',host='lb-01'}", "1"),
    ("node_time_seconds{host='web-01'}", "0+15"),
    ("node_timex_sync_status{host='web-01'}", "1"),
    ("node_boot_time_seconds{host='web-01'}", "1000"),
    ("node_filesystem_avail_bytes{host='web-01',mountpoint='/'}", "50"),
    ("node_filesystem_size_bytes{host='web-01',mountpoint='/'}", "100"),
    ("node_filesystem_files_free{host='web-01',mountpoint='/'}", "50"),
    ("node_filesystem_files{host='web-01',mountpoint='/'}", "100"),
    ("node_filesystem_readonly{host='web-01',mountpoint='/'}", "0"),
    ("node_memory_MemAvailable_bytes{host='web-01'}", "50"),
    ("node_memory_MemTotal_bytes{host='web-01'}", "100"),
    ("node_systemd_unit_state{host='web-01',name='x.service',state='failed'}", "0"),
    ("foobar_config_backups{host='web-01',state='whole'}", "3"),
    ("foobar_config_backups{host='web-01',state='broken'}", "0"),
    ("foobar_measured_timestamp_seconds{host='web-01'}", "0+15"),
    ("foobar_certificate_lifetime_seconds{host='lb-01'}", "31536000"),
    ("haproxy_server_status{host='lb-01',proxy='web',server='web-01',state='DOWN'}", "0"),
    ("haproxy_server_status{host='lb-01',proxy='web',server='web-01',state='MAINT'}", "0"),
    ("haproxy_backend_active_servers{host='lb-01',proxy='web'}", "2"),
    ("haproxy_backend_backup_servers{host='lb-01',proxy='web'}", "0"),
    ("haproxy_frontend_http_responses_total{host='lb-01',proxy='https',code='2xx'}", "0+100"),
    ("haproxy_frontend_http_responses_total{host='lb-01',proxy='https',code='5xx'}", "0+1"),
    ("node_network_address_info{host='lb-01',address='10.77.0.100',device='eth0'}", "1"),
    ("node_network_address_info{host='lb-02',address='10.77.0.100',device='eth0'}", "_"),
    ("probe_success{job='site',instance='https://10.77.0.11/healthz'}", "1"),
    ("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "7776000"),
    ("nginx_up{host='web-01'}", "1"),
    ("mysql_up{host='web-01'}", "1"),
    ("mysql_global_variables_read_only{host='web-01'}", "0"),
    ("mysql_global_variables_read_only{host='web-02'}", "1"),
    ("mysql_slave_status_slave_io_running{host='web-02'}", "1"),
    ("mysql_slave_status_slave_sql_running{host='web-02'}", "1"),
    ("mysql_slave_status_seconds_behind_master{host='web-02'}", "0"),
    ("mysql_global_status_threads_connected{host='web-01'}", "10"),
    ("mysql_global_variables_max_connections{host='web-01'}", "151"),
    ("mysql_global_status_rpl_semi_sync_master_status{host='web-01'}", "1"),
    ("alertmanager_notifications_failed_total{host='lb-01',integration='webhook'}", "0"),
    ("prometheus_notifications_alertmanagers_discovered{host='lb-01'}", "1"),
    ("prometheus_rule_evaluation_failures_total{host='lb-01',rule_group='hosts'}", "0"),
];

/// What is wrong for a while: series that are others than in a sound world.
type Wrong = &'static [(&'static str, &'static str)];

/// A certificate that is good for six days.
const SHORT: (&str, &str) = ("foobar_certificate_lifetime_seconds{host='lb-01'}", "518400");

/// What is wrong, and the alerts that must be told then. `_` is a series that is not there.
const WRONG: &[(Wrong, &[&str])] = &[
    (&[], &[]),
    (&[("up{job='node',host='web-01',instance='10.77.0.21:9100'}", "0")], &["HostDown"]),
    (&[("up{job='nginx',host='web-01'}", "0")], &["ExporterDown"]),
    (&[("up{job='haproxy',host='lb-01'}", "0")], &["BalancerDown"]),
    (&[("node_time_seconds{host='web-01'}", "900+15")], &["ClockOff"]),
    (&[("node_timex_sync_status{host='web-01'}", "0")], &["ClockUnsynchronised"]),
    (&[("node_filesystem_avail_bytes{host='web-01',mountpoint='/'}", "14")], &["DiskNearlyFull"]),
    (&[("node_filesystem_avail_bytes{host='web-01',mountpoint='/'}", "4")], &["DiskFull", "DiskNearlyFull"]),
    (
        &[
            ("node_filesystem_avail_bytes{host='web-01',mountpoint='/'}", "0"),
            ("node_filesystem_readonly{host='web-01',mountpoint='/'}", "1"),
        ],
        &[],
    ),
    (&[("node_filesystem_files_free{host='web-01',mountpoint='/'}", "4")], &["InodesNearlyUsed"]),
    (&[("node_memory_MemAvailable_bytes{host='web-01'}", "4")], &["MemoryShort"]),
    (&[("node_systemd_unit_state{host='web-01',name='x.service',state='failed'}", "1")], &["UnitFailed"]),
    (&[("foobar_config_backups{host='web-01',state='broken'}", "1")], &["ConfigBackupBroken"]),
    (&[("foobar_config_backups{host='web-01',state='whole'}", "0")], &["ConfigBackupMissing"]),
    (&[("foobar_measured_timestamp_seconds{host='web-01'}", "_")], &["ConfigBackupUnchecked"]),
    (&[("haproxy_server_status{host='lb-01',proxy='web',server='web-01',state='DOWN'}", "1")], &["BackendDown"]),
    // Taken out on purpose: nobody is told.
    (&[("haproxy_server_status{host='lb-01',proxy='web',server='web-01',state='MAINT'}", "1")], &[]),
    (&[("haproxy_backend_active_servers{host='lb-01',proxy='web'}", "0")], &["NoBackend"]),
    (
        &[
            ("haproxy_backend_active_servers{host='lb-01',proxy='web'}", "0"),
            ("haproxy_backend_backup_servers{host='lb-01',proxy='web'}", "1"),
        ],
        &[],
    ),
    (&[("haproxy_frontend_http_responses_total{host='lb-01',proxy='https',code='5xx'}", "9+9")], &["ErrorsServed"]),
    (&[("node_network_address_info{host='lb-01',address='10.77.0.100',device='eth0'}", "_")], &["AddressUnheld"]),
    (&[("node_network_address_info{host='lb-02',address='10.77.0.100',device='eth0'}", "1")], &["AddressHeldTwice"]),
    // It has moved.
    (
        &[
            ("node_network_address_info{host='lb-01',address='10.77.0.100',device='eth0'}", "_"),
            ("node_network_address_info{host='lb-02',address='10.77.0.100',device='eth0'}", "1"),
        ],
        &[],
    ),
    (&[("probe_success{job='site',instance='https://10.77.0.11/healthz'}", "0")], &["SiteDown"]),
    (
        &[("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "1500000")],
        &["CertificateExpires"],
    ),
    (
        &[("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "200000")],
        &["CertificateExpires", "CertificateExpiresSoon"],
    ),
    // One that is good for six days, as some directories give them, is held against that: two days are left when it is renewed.
    (&[SHORT, ("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "150000")], &[]),
    (
        &[SHORT, ("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "90000")],
        &["CertificateExpires"],
    ),
    (
        &[SHORT, ("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "20000")],
        &["CertificateExpires", "CertificateExpiresSoon"],
    ),
    // Where nobody measures it, the days of a usual one hold.
    (
        &[
            ("foobar_certificate_lifetime_seconds{host='lb-01'}", "_"),
            ("probe_ssl_earliest_cert_expiry{job='site',instance='https://10.77.0.11/healthz'}", "1500000"),
        ],
        &["CertificateExpires"],
    ),
    (&[("nginx_up{host='web-01'}", "0")], &["NginxDown"]),
    (&[("mysql_up{host='web-01'}", "0")], &["DatabaseDown"]),
    (&[("mysql_global_variables_read_only{host='web-01'}", "1")], &["NoWriter"]),
    (&[("mysql_global_variables_read_only{host='web-01'}", "_")], &["NoWriter"]),
    (&[("mysql_global_variables_read_only{host='web-02'}", "0")], &["TwoWriters"]),
    (&[("mysql_slave_status_slave_io_running{host='web-02'}", "0")], &["ReplicaStopped"]),
    (&[("mysql_slave_status_slave_sql_running{host='web-02'}", "0")], &["ReplicaStopped"]),
    (&[("mysql_slave_status_slave_io_running{host='web-02'}", "_")], &["ReplicasMissing"]),
    (&[("mysql_slave_status_seconds_behind_master{host='web-02'}", "6")], &["ReplicaLags"]),
    (&[("mysql_global_status_threads_connected{host='web-01'}", "140")], &["ConnectionsNearlyUsed"]),
    (&[("mysql_global_status_rpl_semi_sync_master_status{host='web-01'}", "0")], &["WritesUnconfirmed"]),
    (
        &[("alertmanager_notifications_failed_total{host='lb-01',integration='webhook'}", "0+1")],
        &["AlertsNotDelivered"],
    ),
    (&[("prometheus_notifications_alertmanagers_discovered{host='lb-01'}", "0")], &["AlertmanagerLost"]),
    (&[("prometheus_rule_evaluation_failures_total{host='lb-01',rule_group='hosts'}", "0+1")], &["RulesFail"]),
];

/// Steps of 15 s that a world is sound for, is wrong for, and is sound again.
const STEPS: [u32; 3] = [8, 60, 40];

/// A series' values through all three times.
fn values(sound: &str, wrong: &str) -> String {
    let part = |value: &str, from: u32, steps: u32| match value.split_once('+') {
        _ if value == "_" => format!("_x{steps}"),
        Some((first, step)) => {
            let step: u32 = step.parse().unwrap();
            format!("{}+{step}x{}", first.parse::<u32>().unwrap() + from * step, steps - 1)
        }
        None => format!("{value}x{}", steps - 1),
    };
    let [a, b, c] = STEPS;
    [part(sound, 0, a), part(wrong, a, b), part(sound, a + b, c)].join(" ")
}

fn told(at: &str, alerts: &[&str]) -> Value {
    let sample = |a: &&str| json!({ "labels": format!("{{alertname=\"{a}\"}}"), "value": 1 });
    let samples: Vec<Value> = alerts.iter().map(sample).collect();
    json!({ "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})", "eval_time": at, "exp_samples": samples })
}

fn world(wrong: &[(&str, &str)]) -> Vec<Value> {
    assert!(wrong.iter().all(|(series, _)| SOUND.iter().any(|(s, _)| s == series)), "{wrong:?}");
    let of = |(series, sound): &(&str, &str)| {
        let wrong = wrong.iter().find(|(s, _)| s == series).map_or(*sound, |(_, value)| *value);
        json!({ "series": series.replace('\'', "\""), "values": values(sound, wrong) })
    };
    SOUND.iter().map(of).collect()
}

#[test]
fn every_alert_is_told_when_it_must_be_and_then_alone() {
    let Some(promtool) = checker("promtool") else { return };
    let scratch = Scratch::new("rules");
    written(&scratch, pair());
    let mut tests: Vec<Value> = Vec::new();
    for (wrong, alerts) in WRONG {
        // Wrong from 2 m to 17 m: at first not for long enough.
        let early = told("2m30s", &[]);
        tests.push(json!({
            "interval": "15s", "input_series": world(wrong),
            "promql_expr_test": [told("1m45s", &[]), early, told("16m45s", alerts), told("26m", &[])],
        }));
    }
    // A reboot is told at once, and no longer.
    tests.push(json!({
        "interval": "15s", "input_series": world(&[("node_boot_time_seconds{host='web-01'}", "1100")]),
        "promql_expr_test": [told("2m15s", &["HostRebooted"]), told("16m45s", &[])],
    }));
    // A server that nobody can reach is named by the host that it is, whoever saw it.
    let down = "haproxy_server_status{host='lb-01',proxy='web',server='web-01',state='DOWN'}";
    let runbook = "foobar verify -l web-01 names what is wrong; foobar plan says whether something stopped, foobar apply starts it.";
    tests.push(json!({
        "interval": "15s", "input_series": world(&[(down, "1")]),
        "alert_rule_test": [{ "eval_time": "10m", "alertname": "BackendDown", "exp_alerts": [{
            "exp_labels": { "severity": "warning", "server": "web-01", "host": "web-01" },
            "exp_annotations": {
                "summary": "web-01 is out of service",
                "description": "The balancers have given it up: it does not pass their health check.",
                "runbook": runbook,
            },
        }] }],
    }));
    let suite = json!({ "rule_files": ["foobar.rules.yml"], "evaluation_interval": "15s", "tests": tests });
    let path = scratch.write("rules_test.yml", &suite.to_string());
    run(&promtool, &["test", "rules", &path]);

    // None is left out of this, and each says what to do.
    let rules = std::fs::read_to_string(scratch.0.join("foobar.rules.yml")).unwrap();
    let named = |name: &&str| *name == "HostRebooted" || WRONG.iter().any(|(_, alerts)| alerts.contains(name));
    let all: Vec<&str> = rules.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    assert!(all.len() > 25 && all.iter().all(named), "{all:?}");
    for word in ["severity: ", "summary: ", "description: ", "runbook: "] {
        assert_eq!(rules.matches(word).count(), all.len(), "{word}");
    }
}
