//! The words are sound, their help reads well, and mistakes end as the exit codes say.

use super::{
    lab::{LabArgs, LabCommand},
    *,
};

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    super::parse(std::iter::once(&"foobar").chain(words))
}

#[test]
fn the_words_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command() {
    fn walk(command: &mut clap::Command, path: &str, out: &mut Vec<(String, String)>) {
        out.push((path.to_owned(), command.render_help().to_string()));
        for sub in command.get_subcommands_mut() {
            let path = format!("{path}-{}", sub.get_name());
            walk(sub, &path, out);
        }
    }
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut all = Vec::new();
    walk(&mut command, "help", &mut all);
    assert_eq!(all.len(), 30);
    for (name, text) in all {
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn wrong_usage_is_64_and_asked_for_help_is_not() {
    let status = |words: &[&str]| parse(words).map_err(|e| exit(e.kind())).map(|_| ());
    assert_eq!(status(&["plan"]), Ok(()));
    assert_eq!(status(&["--help"]), Err(Exit::Done));
    assert_eq!(status(&["plan", "--help"]), Err(Exit::Done));
    assert_eq!(status(&["--version"]), Err(Exit::Done));
    for bad in [
        &[][..],
        &["plna"],
        &["plan", "--nope"],
        &["plan", "--parallel", "0"],
        &["plan", "--connect-timeout", "0"],
        &["plan", "-q", "-v"],
        &["plan", "-l", "a b"],
        &["plan", "--color", "sometimes"],
        &["explain", "web-01"],
        &["explain", "web-01:etc/x"],
        &["explain", "web-01:/etc/x:0"],
        &["explain", ":/etc/x"],
        &["apply", "--lock-timeout", "soon"],
        &["apply", "--lock-timeout", "25h"],
        &["history", "-n", "0"],
        &["verify", "--json", "--format", "tap"],
        &["verify", "--format", "xml"],
        &["verify", "--only", "a/b/c"],
        &["verify", "--watch", "0"],
        &["status", "--watch", "0"],
        &["graph", "--format", "png"],
        &["drill"],
        &["drill", "lb-01", "--for", "0"],
        &["lab"],
        &["lab", "exec", "web-01"],
        &["lab", "exec", "web-01", "--"],
        &["lab", "up", "--suite", "buster"],
    ] {
        assert_eq!(status(bad), Err(Exit::Usage), "{bad:?}");
    }
}

#[test]
fn a_whole_line_of_words() {
    let words =
        "-v plan -f a.yaml -i b.yaml -l @nginx,!web-01 --limit db-* --parallel 3 --connect-timeout 5s --summary --json";
    let cli = parse(&words.split(' ').collect::<Vec<_>>()).unwrap();
    assert_eq!(cli.talk.verbosity(), Verbosity::Verbose);
    let Command::Plan(plan) = cli.command else { panic!("another command") };
    let limit: Vec<String> = plan.limit.limit.iter().map(Pattern::to_string).collect();
    assert_eq!(limit, ["@nginx", "!web-01", "db-*"]);
    assert_eq!((plan.reach.parallel, plan.reach.connect_timeout.as_secs()), (3, 5));
    assert_eq!((plan.diff.style(), plan.json.json), (DiffStyle::None, true));
    let cli = parse(&["apply", "--auto-approve", "-vv"]).unwrap();
    assert_eq!(cli.talk.verbose, 2);
    let Command::Apply(apply) = cli.command else { panic!("another command") };
    assert!(apply.yes && apply.diff.style() == DiffStyle::Short);
    let Command::Explain(explain) = parse(&["explain", "web-01:/etc/a:b:41"]).unwrap().command else {
        panic!("another")
    };
    assert_eq!((explain.target.host.as_str(), explain.target.path.as_str()), ("web-01", "/etc/a:b"));
    assert_eq!(explain.target.line, Some(41));
    let cli = parse(&["lab", "exec", "web-01", "--", "nginx", "-T"]).unwrap();
    let Command::Lab(LabArgs { command: LabCommand::Exec(exec) }) = cli.command else { panic!("another command") };
    assert_eq!((exec.host.as_str(), exec.command.len()), ("web-01", 2));
}

#[test]
fn a_verification_s_form_and_its_rounds() {
    let verify = |words: &[&str]| match parse(&[&["verify"], words].concat()).unwrap().command {
        Command::Verify(verify) => verify,
        _ => panic!("another command"),
    };
    use super::verify::VerifyFormat::{Human, Json, Junit};
    for (words, format) in [
        (&[][..], Human),
        (&["--json"], Json),
        (&["--format", "json"], Json),
        (&["--json", "--format", "json"], Json),
        (&["--format", "junit"], Junit),
    ] {
        assert_eq!(verify(words).format(), format, "{words:?}");
    }
    let every = |words: &[&str]| verify(words).choice.watch.map(|d| d.as_secs());
    assert_eq!((every(&[]), every(&["--watch"]), every(&["--watch", "5"])), (None, Some(30), Some(5)));
    let chosen = verify(&["--only", "mysql,tls", "--only", "*http-2", "--skip", "x"]).choice;
    assert_eq!((chosen.only.len(), chosen.skip.len()), (3, 1));
}

#[test]
fn every_option_is_in_the_environment_too() {
    fn walk(command: &clap::Command) {
        for arg in command.get_arguments().filter(|a| !a.is_positional()) {
            let id = arg.get_id().as_str();
            if ["help", "version"].contains(&id) {
                continue;
            }
            let name = format!("FOOBAR_{}", id.to_uppercase());
            assert_eq!(arg.get_env().and_then(|e| e.to_str()), Some(name.as_str()), "{id} of {}", command.get_name());
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&Cli::command());
}

/// The environment of a process cannot be changed safely, so this very test is run again in one that has it.
#[test]
fn typed_words_win_over_the_environment() {
    const MARK: &str = "FOOBAR_TEST_CHILD";
    if std::env::var_os(MARK).is_none() {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let vars = [
            (MARK, "1"),
            ("FOOBAR_VERBOSE", "2"),
            ("FOOBAR_SUMMARY", "1"),
            ("FOOBAR_LIMIT", "web-*,@x"),
            ("FOOBAR_JSON", "0"),
            ("FOOBAR_INVENTORY", ""),
            ("FOOBAR_PARALLEL", ""),
            ("FOOBAR_FILE", "other.yaml"),
        ];
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let out = again.args([&name, "--exact", "--nocapture"]).envs(vars).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        return;
    }
    let plan = |words: &[&str]| match parse(words).unwrap() {
        Cli { talk, command: Command::Plan(plan), .. } => (talk.verbosity(), plan),
        _ => panic!("another command"),
    };
    let (verbosity, args) = plan(&["plan"]);
    assert_eq!((verbosity, args.diff.style(), args.json.json), (Verbosity::Verbose, DiffStyle::None, false));
    assert_eq!((args.limit.limit.len(), args.site.file.to_str()), (2, Some("other.yaml")));
    assert_eq!((args.site.inventory, args.reach.parallel), (None, 8), "an empty variable is none");
    let (verbosity, args) = plan(&["-q", "plan", "--diff", "full", "-l", "db-01", "-f", "mine.yaml"]);
    assert_eq!((verbosity, args.diff.style()), (Verbosity::Quiet, DiffStyle::Full));
    assert_eq!((args.limit.limit.len(), args.site.file.to_str()), (1, Some("mine.yaml")));
}

#[test]
fn others_are_waited_for_in_seconds_minutes_and_hours() {
    let wait = |text: &str| lock::span(text).map(|d| d.as_secs());
    for (text, seconds) in [("0", 0), ("0s", 0), ("90s", 90), ("10m", 600), ("24h", 86_400), (" 5 ", 5)] {
        assert_eq!(wait(text), Ok(seconds), "{text}");
    }
    for bad in ["", "s", "-1s", "1.5m", "1d", "25h", "99999999999999999999", "18446744073709551615h", "1 h"] {
        assert!(wait(bad).is_err(), "{bad}");
    }
    let cli = parse(&["history", "12", "web-*", "@mysql", "-n", "3"]).unwrap();
    let Command::History(history) = cli.command else { panic!("another command") };
    assert_eq!((history.generation(), history.hosts().unwrap().len(), history.number), (Some(12), 2, 3));
}
