//! The laws: what two versions on one database may rely on.

use std::fmt;

/// A law, by its number in the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// After a write a version sees what a plain database of it would show, and the old one notices nothing of a phase.
    ReadYourWrites,
    /// `update t set c = c` changes nothing that anybody sees.
    IdleStability,
    /// What one version wrote stays when the other one writes something else of the row.
    RoundTrip,
    /// What a version sees of the other one's rows is what the lenses say.
    Agreement,
    /// No row disappears but by its own version's delete.
    NoLoss,
    /// A column that the writing version does not know has its own default.
    Defaults,
    /// What a plain database of the version accepts or refuses, this one does too.
    Totality,
    /// The same for unique rules.
    Uniqueness,
    /// A delete removes the row for both and nothing else.
    Delete,
    /// NULL maps to what the lens says.
    Null,
    /// Foreign keys hold for each version.
    References,
    /// Generated keys are stable.
    Identity,
    /// Writers during migrate change nothing of where it ends.
    BackfillCommutes,
    /// A phase that is killed and run again, or is run twice, ends in the same place.
    Resume,
    /// No anomaly that a plain table would not allow.
    Isolation,
    /// The last committed write of a field wins, for both.
    LastWriter,
    /// A transaction sees its own writes on both sides.
    OneTransaction,
    /// Writes of many rows, and upserts.
    BulkPaths,
    /// Abort gives the old snapshot back, and its rows.
    Abort,
    /// Contract refuses while anything is not done; each script refuses out of its turn.
    Gate,
    /// No statement keeps a writer waiting longer than the budget.
    LockBudget,
    /// The phases end, where the new snapshot alone would be.
    End,
}

impl Law {
    /// All of them, in order.
    pub const ALL: [Law; 22] = [
        Law::ReadYourWrites,
        Law::IdleStability,
        Law::RoundTrip,
        Law::Agreement,
        Law::NoLoss,
        Law::Defaults,
        Law::Totality,
        Law::Uniqueness,
        Law::Delete,
        Law::Null,
        Law::References,
        Law::Identity,
        Law::BackfillCommutes,
        Law::Resume,
        Law::Isolation,
        Law::LastWriter,
        Law::OneTransaction,
        Law::BulkPaths,
        Law::Abort,
        Law::Gate,
        Law::LockBudget,
        Law::End,
    ];

    /// Its number, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Law::ReadYourWrites => "read your writes",
            Law::IdleStability => "idle stability",
            Law::RoundTrip => "round trip",
            Law::Agreement => "agreement",
            Law::NoLoss => "no loss",
            Law::Defaults => "defaults",
            Law::Totality => "totality",
            Law::Uniqueness => "uniqueness",
            Law::Delete => "delete",
            Law::Null => "null",
            Law::References => "references",
            Law::Identity => "identity",
            Law::BackfillCommutes => "backfill commutes",
            Law::Resume => "resume",
            Law::Isolation => "isolation",
            Law::LastWriter => "last writer",
            Law::OneTransaction => "one transaction",
            Law::BulkPaths => "bulk paths",
            Law::Abort => "abort",
            Law::Gate => "contract gate",
            Law::LockBudget => "lock budget",
            Law::End => "end",
        }
    }

    /// Reads `L5`, `l5` or `5`.
    pub fn from_name(name: &str) -> Option<Law> {
        let number: usize = name.trim().trim_start_matches(['L', 'l']).parse().ok()?;
        Law::ALL.get(number.checked_sub(1)?).copied()
    }
}

impl fmt::Display for Law {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "L{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_documentation() {
        for (index, law) in Law::ALL.into_iter().enumerate() {
            assert_eq!(law.number(), index + 1);
            assert_eq!(Law::from_name(&law.to_string()), Some(law));
        }
        assert_eq!(Law::Gate.to_string(), "L20");
        assert_eq!(Law::from_name("L23"), None);
        assert_eq!(Law::from_name("L0"), None);
    }
}
