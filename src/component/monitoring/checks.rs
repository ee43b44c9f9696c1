//! What proves that somebody watches: every part is measured, the rules run, Alertmanager is reached, and the page shows.

use super::{
    super::{
        Answer, Check, Verdict,
        names::{ALERTMANAGER, BLACKBOX_EXPORTER, MYSQLD_EXPORTER, NGINX_EXPORTER, NODE_EXPORTER, PROMETHEUS},
        site::Site,
        spec::Monitoring,
    },
    FETCH, databases, measures, server, web,
};
use crate::base::{name::HostName, script::Script};
use serde_json::Value;

const NAME: &str = "monitoring";

/// Every check of it.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(monitoring) = &site.topology.monitoring else { return Vec::new() };
    let Some(host) = monitoring.host() else { return Vec::new() };
    let unit = |host: &HostName, unit| Check::unit(NAME, host, unit);
    let mut checks: Vec<Check> =
        site.hosts().flat_map(|h| [unit(h, NODE_EXPORTER.0), unit(h, measures::TIMER)]).collect();
    checks.extend(web(site).iter().map(|h| unit(h, NGINX_EXPORTER.0)));
    checks.extend(databases(site).map(|h| unit(h, MYSQLD_EXPORTER.0)));
    checks.extend((!server::probes(site).is_empty()).then(|| unit(host, BLACKBOX_EXPORTER.0)));
    checks.extend([unit(host, ALERTMANAGER.0), unit(host, PROMETHEUS.0)]);
    checks.push(targets(site, monitoring, host));
    if let Ok(context) = server::rules_context(site, monitoring, host) {
        checks.push(rules(host, context.generation));
    }
    if let Ok(context) = server::alerts_context(site, monitoring) {
        checks.push(alertmanager(host, context.generation));
    }
    if monitoring.alerts.webhook.is_some() || monitoring.alerts.email.is_some() {
        checks.push(arrived(host));
    }
    let replicas = site.topology.mysql.as_ref().map_or(0, |m| m.replicas.len());
    checks.extend((replicas > 0).then(|| replication(monitoring, host, replicas)));
    checks.push(page(host));
    checks
}

/// Defines `prometheus PATH`.
fn prometheus() -> Script {
    Script::new().line(FETCH).line(format!("prometheus() {{ fetch 127.0.0.1 {} \"$1\"; }}", PROMETHEUS.1))
}

/// The `data` of what Prometheus answers, or why there is none.
fn data(text: &str) -> Result<Value, Verdict> {
    if text.trim().is_empty() {
        return Err(Verdict::Fail("prometheus does not answer".into()));
    }
    let answer: Value =
        serde_json::from_str(text).map_err(|e| Verdict::Error(format!("its answer is no JSON: {e}")))?;
    match answer["status"].as_str() {
        Some("success") => Ok(answer["data"].clone()),
        _ => Err(Verdict::Error(format!("prometheus says {}", answer["error"]))),
    }
}

fn judged(found: Result<Verdict, Verdict>) -> Verdict {
    found.unwrap_or_else(|verdict| verdict)
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Right after a change, what was measured last may be from before it: one turn is waited for, as long as a check may take.
fn targets(site: &Site, monitoring: &Monitoring, host: &HostName) -> Check {
    let seconds = (monitoring.every.duration().as_secs() + server::DISCOVERY).min(15);
    let script = prometheus()
        .line(format!("read -r now _ </proc/uptime; end=$((${{now%.*}} + {seconds}))"))
        .line("while :; do")
        .line("  said=$(prometheus '/api/v1/targets?state=active'); read -r now _ </proc/uptime")
        .line("  case $said in *'\"health\":\"down\"'* | *'\"health\":\"unknown\"'* | *'\"activeTargets\":[]'* | '') ;; *) break ;; esac")
        .line("  [ \"${now%.*}\" -lt \"$end\" ] || break; sleep 0.3")
        .line("done; printf '%s\\n' \"$said\"");
    let want = server::targets(site);
    Check::new(NAME, host, "every target is measured", script, move |answer| {
        judged(judge_targets(&answer.stdout, want))
    })
}

fn judge_targets(text: &str, want: usize) -> Result<Verdict, Verdict> {
    let data = data(text)?;
    let all = data["activeTargets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut wrong: Vec<String> = all
        .iter()
        .filter(|t| word(t, "health") != "up")
        .map(|t| {
            let labels = &t["labels"];
            let why = match word(t, "lastError") {
                "" => "not yet",
                why => why,
            };
            format!("{} at {}: {why}", word(labels, "job"), word(labels, "instance"))
        })
        .collect();
    if all.len() != want {
        wrong.push(format!("prometheus knows of {}", all.len()));
    }
    let seen = format!("{want} up");
    Ok(Verdict::when(wrong.is_empty(), if wrong.is_empty() { seen } else { wrong.join("; ") }))
}

fn rules(host: &HostName, generation: String) -> Check {
    let script = prometheus().line("prometheus /api/v1/rules");
    Check::new(
        NAME,
        host,
        "prometheus runs the rules that were rendered for it, and none fails",
        script,
        move |answer| judged(judge_rules(&answer.stdout, &generation)),
    )
}

fn judge_rules(text: &str, generation: &str) -> Result<Verdict, Verdict> {
    if !text.contains(generation) && !text.trim().is_empty() {
        let what = "it runs other rules, or none; `foobar plan` shows what differs";
        return Ok(Verdict::Fail(what.into()));
    }
    let data = data(text)?;
    let groups = data["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = || groups.iter().flat_map(|g| g["rules"].as_array().into_iter().flatten());
    let wrong: Vec<String> = all()
        .filter(|r| word(r, "health") == "err")
        .map(|r| format!("{}: {}", word(r, "name"), word(r, "lastError")))
        .collect();
    let alerts = all().filter(|r| word(r, "type") == "alerting").count();
    Ok(match (wrong.is_empty(), alerts) {
        (false, _) => Verdict::Fail(wrong.join("; ")),
        (_, 0) => Verdict::Fail("there is no alert among them".into()),
        _ => Verdict::Pass(format!("{alerts} alerts, generation {}", &generation[..12])),
    })
}

/// Right after a reload, Prometheus knows of none for some seconds (it puts its discovery off by five): that is waited for.
fn alertmanager(host: &HostName, generation: String) -> Check {
    let script = prometheus()
        .line("read -r now _ </proc/uptime; end=$((${now%.*} + 10))")
        .line("while said=$(prometheus /api/v1/alertmanagers); case $said in *'\"activeAlertmanagers\":[]'*) true ;; *) false ;; esac; do")
        .line("  read -r now _ </proc/uptime; [ \"${now%.*}\" -lt \"$end\" ] || break; sleep 0.3")
        .line("done; printf '%s\n==\n' \"$said\"")
        .line(format!("fetch 127.0.0.1 {} /api/v2/receivers", ALERTMANAGER.1));
    Check::new(NAME, host, "prometheus reaches alertmanager, which knows whom to tell", script, move |answer| {
        judged(judge_alertmanager(answer, &generation))
    })
}

fn judge_alertmanager(answer: &Answer, generation: &str) -> Result<Verdict, Verdict> {
    let (known, receivers) = answer.stdout.split_once("==").unwrap_or_default();
    let data = data(known)?;
    if data["activeAlertmanagers"].as_array().is_none_or(Vec::is_empty) {
        return Ok(Verdict::Fail("prometheus reaches none".into()));
    }
    Ok(match receivers {
        r if r.contains(&format!("generation-{generation}")) => {
            Verdict::Pass(format!("generation {}", &generation[..12]))
        }
        r if r.trim().is_empty() => Verdict::Fail("alertmanager does not answer".into()),
        _ => Verdict::Fail("it runs another configuration; `foobar plan` shows what differs".into()),
    })
}

/// What the one value of a query is; none where the query finds nothing.
fn value(text: &str) -> Result<Option<f64>, Verdict> {
    let data = data(text)?;
    Ok(data["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok()))
}

/// Without its right to look, an exporter goes on and leaves these out, and no alert on them ever fires. What was measured last
/// may be from before a change: one turn is waited for.
fn replication(monitoring: &Monitoring, host: &HostName, replicas: usize) -> Check {
    let query =
        "/api/v1/query?query=count(mysql_slave_status_slave_io_running%20or%20mysql_slave_status_replica_io_running)";
    let seconds = (monitoring.every.duration().as_secs() + server::DISCOVERY).min(15);
    let script = prometheus()
        .line(format!("read -r now _ </proc/uptime; end=$((${{now%.*}} + {seconds}))"))
        .line(format!(
            "until said=$(prometheus '{query}'); case $said in *',\"{replicas}\"]'*) true ;; *) false ;; esac; do"
        ))
        .line("  read -r now _ </proc/uptime; [ \"${now%.*}\" -lt \"$end\" ] || break; sleep 0.3")
        .line("done; printf '%s\n' \"$said\"");
    Check::new(NAME, host, "the replication of every replica is measured", script, move |answer| {
        judged(judge_replication(&answer.stdout, replicas))
    })
}

fn judge_replication(text: &str, replicas: usize) -> Result<Verdict, Verdict> {
    let count = value(text)?.unwrap_or(0.0);
    let of = u32::try_from(replicas).unwrap_or(u32::MAX);
    Ok(match (count - f64::from(of)).abs() < 0.5 {
        true => Verdict::Pass(format!("{count} of {replicas}")),
        false => Verdict::Fail(format!(
            "{count} of {replicas}: journalctl -u prometheus-mysqld-exporter on the replicas says why"
        )),
    })
}

/// Whether what there was to tell arrived where it was sent. Nothing is sent to find out: who is told of a fault at each look
/// at the site soon reads none of them. A way that takes nothing is known from the first alert that is lost on it.
fn arrived(host: &HostName) -> Check {
    let query = |name: &str| format!("prometheus '/api/v1/query?query=sum(increase({name}%5B15m%5D))'");
    let script = prometheus()
        .line(query("alertmanager_notifications_failed_total"))
        .line("echo; echo ==")
        .line(query("alertmanager_notifications_total"));
    Check::new(NAME, host, "what it told people in the last quarter of an hour arrived", script, |answer| {
        judged(judge_arrived(&answer.stdout))
    })
}

fn judge_arrived(text: &str) -> Result<Verdict, Verdict> {
    let (failed, all) = text.split_once("==").unwrap_or_default();
    let (failed, all) = (value(failed)?.unwrap_or(0.0).round(), value(all)?.unwrap_or(0.0).round());
    Ok(match (failed > 0.0, all > 0.0) {
        (true, _) => Verdict::Fail(format!(
            "{failed} of {all} messages did not: journalctl -u prometheus-alertmanager says why, `monitoring.alerts` in the topology where they go"
        )),
        (false, true) => Verdict::Pass(format!("{all} messages")),
        (false, false) => Verdict::Pass("there was nothing to tell".into()),
    })
}

fn page(host: &HostName) -> Check {
    let script = prometheus().line(format!("prometheus {}", server::PAGE_PATH));
    Check::new(NAME, host, "the page of the stack shows", script, |answer| {
        let is_whole = answer.stdout.contains("id=\"alerts\"") && answer.stdout.contains("</html>");
        let said = if is_whole { server::PAGE_PATH } else { "prometheus does not render it; its log says why" };
        Verdict::when(is_whole, said)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets_of(health: &[&str]) -> String {
        let target = |h: &&str| {
            serde_json::json!({ "health": h, "lastError": if *h == "down" { "refused" } else { "" },
            "labels": { "job": "node", "instance": "10.77.0.11:9100" } })
        };
        let all: Vec<Value> = health.iter().map(target).collect();
        serde_json::json!({ "status": "success", "data": { "activeTargets": all } }).to_string()
    }

    #[test]
    fn every_target_must_be_up_and_none_be_missing() {
        let judge = |text: &str, want| judged(judge_targets(text, want));
        assert_eq!(judge(&targets_of(&["up", "up"]), 2), Verdict::Pass("2 up".into()));
        let said = |v: Verdict| if let Verdict::Fail(said) = v { said } else { panic!("{v:?}") };
        assert_eq!(said(judge(&targets_of(&["up"]), 2)), "prometheus knows of 1");
        assert_eq!(said(judge(&targets_of(&["up", "down"]), 2)), "node at 10.77.0.11:9100: refused");
        assert_eq!(said(judge(&targets_of(&["unknown"]), 1)), "node at 10.77.0.11:9100: not yet");
        assert_eq!(said(judge("", 1)), "prometheus does not answer");
        assert!(matches!(judge("<html>", 1), Verdict::Error(_)));
        assert!(matches!(judge("{\"status\":\"error\",\"error\":\"bad\"}", 1), Verdict::Error(_)));
    }

    #[test]
    fn rules_are_the_rendered_ones_and_none_fails() {
        let generation = "0123456789abcdef0123456789abcdef";
        let rule = |health: &str| serde_json::json!({ "name": "HostDown", "type": "alerting", "health": health, "lastError": "many-to-many" });
        let of = |rules: Vec<Value>, generation: &str| {
            serde_json::json!({ "status": "success", "data": { "groups": [{ "rules": rules, "generation": generation }] } }).to_string()
        };
        let judge = |text: &str| judged(judge_rules(text, generation));
        assert_eq!(judge(&of(vec![rule("ok")], generation)), Verdict::Pass("1 alerts, generation 0123456789ab".into()));
        assert_eq!(judge(&of(vec![rule("err")], generation)), Verdict::Fail("HostDown: many-to-many".into()));
        assert!(matches!(judge(&of(vec![rule("ok")], "another")), Verdict::Fail(said) if said.contains("other rules")));
        assert!(matches!(judge(&of(vec![], generation)), Verdict::Fail(said) if said.contains("no alert")));
        assert_eq!(judge(""), Verdict::Fail("prometheus does not answer".into()));
    }

    fn answer_of(value: Option<&str>) -> String {
        let result: Vec<Value> = value.iter().map(|v| serde_json::json!({ "metric": {}, "value": [1, v] })).collect();
        serde_json::json!({ "status": "success", "data": { "resultType": "vector", "result": result } }).to_string()
    }

    #[test]
    fn every_replica_must_tell_of_its_replication() {
        let judge = |text: &str| judged(judge_replication(text, 2));
        assert_eq!(judge(&answer_of(Some("2"))), Verdict::Pass("2 of 2".into()));
        for (value, start) in [(Some("1"), "1 of 2:"), (None, "0 of 2:"), (Some("3"), "3 of 2:")] {
            assert!(matches!(judge(&answer_of(value)), Verdict::Fail(said) if said.starts_with(start)), "{start}");
        }
        assert_eq!(judge(""), Verdict::Fail("prometheus does not answer".into()));
    }

    #[test]
    fn a_message_that_did_not_arrive_is_told() {
        let judge = |failed, all| judged(judge_arrived(&format!("{}\n==\n{}", answer_of(failed), answer_of(all))));
        assert_eq!(judge(None, None), Verdict::Pass("there was nothing to tell".into()));
        assert_eq!(judge(Some("0"), Some("3.02")), Verdict::Pass("3 messages".into()));
        assert!(matches!(judge(Some("1.01"), Some("3")), Verdict::Fail(said) if said.starts_with("1 of 3 messages")));
        assert_eq!(judged(judge_arrived("\n==\n")), Verdict::Fail("prometheus does not answer".into()));
    }

    #[test]
    fn alertmanager_is_reached_and_runs_what_was_rendered() {
        let of = |active: &str, receivers: &str| {
            let stdout = format!(
                "{{\"status\":\"success\",\"data\":{{\"activeAlertmanagers\":[{active}]}}}}\n==\n{receivers}\n"
            );
            let answer = Answer { status: 0, stdout, ..Answer::default() };
            judged(judge_alertmanager(&answer, "0123456789abcdef"))
        };
        let one = "{\"url\":\"http://127.0.0.1:9093/api/v2/alerts\"}";
        assert!(matches!(of(one, "[{\"name\":\"generation-0123456789abcdef\"}]"), Verdict::Pass(_)));
        assert!(matches!(of(one, "[{\"name\":\"people\"}]"), Verdict::Fail(said) if said.contains("another")));
        assert!(matches!(of(one, ""), Verdict::Fail(said) if said.contains("does not answer")));
        assert!(matches!(of("", "x"), Verdict::Fail(said) if said.contains("none")));
    }
}
