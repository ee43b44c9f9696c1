//! `--max-impact`: how much of a plan users may feel before it is refused.

use crate::{plan::Plan, resource::Impact};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};

const WORDS: [(&str, Impact); 5] = [
    ("none", Impact::None),
    ("reload", Impact::Reload),
    ("restart", Impact::Restart),
    ("connection-drop", Impact::ConnectionDrop),
    ("write-outage", Impact::WriteOutage),
];

/// How much users may feel.
#[derive(Clone, Debug, Args)]
pub struct BoundArgs {
    /// refuse a plan of which users would feel more than this
    #[arg(long, value_name = "IMPACT", env = "FOOBAR_MAX_IMPACT", hide_env = true, help_heading = "Safety")]
    #[arg(value_parser = PossibleValuesParser::new(WORDS.map(|(word, _)| word)).map(|word| named(&word)))]
    pub max_impact: Option<Impact>,
}

fn named(word: &str) -> Impact {
    WORDS.iter().find(|(known, _)| *known == word).map_or(Impact::None, |(_, impact)| *impact)
}

impl BoundArgs {
    /// What users would feel of a plan beyond the bound, and what to do about it; none where it holds.
    pub fn broken(&self, plan: &Plan) -> Option<(String, &'static str)> {
        self.max_impact.and_then(|most| beyond(plan, most))
    }
}

fn beyond(plan: &Plan, most: Impact) -> Option<(String, &'static str)> {
    let steps: Vec<String> = plan
        .steps
        .iter()
        .filter(|s| s.change.felt() > most)
        .map(|s| format!("{}: {} ({})", s.host, s.change.summary, s.change.felt()))
        .collect();
    let help = "allow it with a higher --max-impact at a quiet hour, or leave those hosts out with --limit";
    (!steps.is_empty()).then(|| {
        (
            format!("users would feel more than `{most}` of this plan, so nothing was changed:\n{}", steps.join("\n")),
            help,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::script::Script,
        plan::Step,
        resource::{Action, Change, ResourceId},
    };

    #[test]
    fn what_users_would_feel_is_named_and_what_is_drained_is_not() {
        let step = |id: usize, host: &str, impact, is_drained| Step {
            id,
            host: host.parse().unwrap(),
            resource: ResourceId::new("service", id.to_string()),
            change: Change {
                is_drained,
                ..Change::new(Action::Update, format!("do {id}"), Script::new()).impact(impact)
            },
            after: vec![],
        };
        let plan = Plan {
            site: "www.example.com".parse().unwrap(),
            hosts: vec![],
            steps: vec![
                step(0, "lb-01", Impact::Reload, false),
                step(1, "web-01", Impact::Restart, true),
                step(2, "web-02", Impact::Restart, false),
                step(3, "db-01", Impact::WriteOutage, false),
            ],
            left_out: vec![],
            groups: vec![],
        };
        assert_eq!(beyond(&plan, Impact::WriteOutage), None);
        let (what, _) = beyond(&plan, Impact::Reload).unwrap();
        assert!(what.ends_with("nothing was changed:\nweb-02: do 2 (restart)\ndb-01: do 3 (write outage)"), "{what}");
        assert!(beyond(&plan, Impact::None).unwrap().0.contains("lb-01: do 0 (reload)"));
    }

    #[test]
    fn every_impact_has_a_word() {
        for (word, impact) in WORDS {
            assert_eq!((named(word), impact.to_string().replace(' ', "-")), (impact, word.to_owned()));
        }
    }
}
