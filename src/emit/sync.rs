//! The body of a sync trigger: the lens rule, line by line.
//!
//! A side that already agrees is left alone; state decides, never the session. What each branch does is said in the comments
//! that it writes.

use super::mirror::Way;
use crate::dialect::language::{Language, Row};
use crate::plan::model::{Follow, Formula, SyncColumn, SyncLens, Writer};
use crate::snapshot::model::{OnConflict, Type, TypeKind};
use crate::snapshot::types::domain;
use crate::sql::expression::{Domain, why_fails};

/// How a dialect writes the statements of a trigger.
pub(super) trait Words: Language {
    /// The variable that holds what a column should be, by the formulas of one way.
    fn variable(&self, way: Way, column: &SyncColumn) -> String;
    /// Its declaration.
    fn declaration(&self, way: Way, column: &SyncColumn) -> String;
    /// `target := value`.
    fn set(&self, target: &str, value: &str) -> String;
    /// `else if`, in one word.
    fn else_if(&self) -> &'static str;
    /// The statement that makes the write fail, saying why.
    fn fail(&self, why: &str) -> String;
    /// Statements that may fail, at an indent of two more, and what is done then; `why` says it to readers.
    fn attempt(&self, statements: Vec<String>, otherwise: Vec<String>, why: &str, indent: &str) -> Vec<String>;
    /// Statements with variables of their own: where each row pays for a declaration, it stands where the variables are needed.
    fn scope(&self, _declarations: Vec<String>, statements: Vec<String>, _indent: &str) -> Vec<String> {
        statements
    }
    /// Whether a condition of the trigger spares a row that already agrees its call.
    fn has_conditions(&self) -> bool {
        true
    }
    /// A statement that does nothing.
    fn nothing(&self) -> &'static str;
    /// The condition that the marker says the new version wrote; `given` is the one by which shared access tells.
    fn marked(&self, given: &str) -> String;
    /// The condition that a column has something else than its default, where that can be told.
    fn unlike_default(&self, _column: &SyncColumn) -> Option<String> {
        None
    }
}

/// What a trigger does for one lens.
pub(super) struct Body<'a> {
    pub(super) lens: &'a SyncLens,
    pub(super) sql: &'a dyn Words,
    pub(super) writer: Writer,
}

impl Body<'_> {
    pub(super) fn title(&self) -> String {
        let names = |side: &[SyncColumn]| side.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
        match (self.lens.old.is_empty(), self.lens.new.is_empty()) {
            (false, false) => format!("{} <-> {}", names(&self.lens.old), names(&self.lens.new)),
            (true, _) => format!("{}, computed", names(&self.lens.new)),
            (_, true) => format!("{}, computed for the old version", names(&self.lens.old)),
        }
    }

    pub(super) fn variables(&self) -> Vec<String> {
        let mut variables = Vec::new();
        if self.needs_variables() {
            variables.extend(self.lens.ups().map(|(c, _)| self.sql.declaration(Way::Up, c)));
        }
        if self.tries_down() {
            variables.extend(self.lens.downs().map(|(c, _)| self.sql.declaration(Way::Down, c)));
        }
        variables
    }

    /// Statements that use the variables.
    fn scoped(&self, statements: Vec<String>, indent: &str) -> Vec<String> {
        self.sql.scope(self.variables(), statements, indent)
    }

    /// Whether values are compared before they are written.
    fn needs_variables(&self) -> bool {
        self.lens.ups().next().is_some() && (!self.lens.old.is_empty() || self.follows())
    }

    /// Whether a derived new side follows its inputs.
    fn follows(&self) -> bool {
        self.lens.follow == Follow::Inputs && !self.lens.up_inputs.is_empty() && self.lens.ups().next().is_some()
    }

    /// Whether the old side follows when what its formulas read besides the new side changes.
    fn old_follows(&self) -> bool {
        self.lens.follow == Follow::Inputs && !self.lens.down_inputs.is_empty() && self.lens.downs().next().is_some()
    }

    fn new_column(&self, name: &str) -> String {
        self.sql.column(name, Row::New)
    }

    fn old_column(&self, name: &str) -> String {
        self.sql.column(name, Row::Old)
    }

    /// The condition that the new version wrote the row that is inserted.
    pub(super) fn is_new(&self) -> String {
        let plain: Vec<&SyncColumn> = self.lens.new.iter().filter(|c| self.writer == Writer::NewSideGiven || !c.has_default).collect();
        let mut parts: Vec<String> = plain.iter().map(|c| format!("{} is not null", self.new_column(&c.name))).collect();
        if plain.is_empty() {
            // Only the old version writes the old side. (A new column with a default tells nothing by not being NULL where the table has it.)
            parts.push(self.sql.all(&self.lens.old.iter().map(|c| format!("{} is null", self.new_column(&c.name))).collect::<Vec<_>>()));
        }
        if self.writer == Writer::Marker {
            parts.extend(self.lens.new.iter().filter_map(|c| self.sql.unlike_default(c)));
        }
        let given = self.sql.any(&parts);
        match self.writer {
            Writer::Marker => self.sql.marked(&given),
            Writer::NewSideGiven => given,
        }
    }

    /// `N := up(row)`.
    fn set_new(&self, indent: &str) -> Vec<String> {
        self.lens
            .ups()
            .map(|(c, f)| format!("{indent}{}", self.sql.set(&self.new_column(&c.name), &self.sql.value(f, &c.ty, Row::New))))
            .collect()
    }

    /// `O := down(row)`.
    fn set_old(&self, indent: &str) -> Vec<String> {
        self.lens
            .downs()
            .map(|(c, f)| format!("{indent}{}", self.sql.set(&self.new_column(&c.name), &self.sql.value(f, &c.ty, Row::New))))
            .collect()
    }

    /// Variables := up(row).
    fn compute(&self, row: Row<'_>, indent: &str) -> Vec<String> {
        self.lens
            .ups()
            .map(|(c, f)| format!("{indent}{}", self.sql.set(&self.sql.variable(Way::Up, c), &self.sql.value(f, &c.ty, row))))
            .collect()
    }

    /// N differs from the variables; a column that nothing is said of counts as differing when it was given or changed.
    fn differs_from_variables(&self, unsaid: &dyn Fn(&SyncColumn) -> String) -> String {
        let parts: Vec<String> = self
            .lens
            .new
            .iter()
            .map(|c| match c.formula {
                Some(_) => self.sql.distinct(&self.new_column(&c.name), &self.sql.variable(Way::Up, c), &c.ty),
                None => unsaid(c),
            })
            .collect();
        self.sql.any(&parts)
    }

    pub(super) fn insert(&self) -> (Vec<String>, Vec<String>) {
        let (mut new, mut old) = (Vec::new(), Vec::new());
        if !self.lens.new.is_empty() {
            old = self.set_new("");
        }
        if self.lens.downs().next().is_some() {
            match self.writer {
                Writer::NewSideGiven if !self.lens.new.is_empty() => {
                    // Shared access: one statement may give both sides. They may agree.
                    if self.lens.ups().next().is_some() {
                        let mut lines = self.compute(Row::New, "");
                        let differs = self.differs_from_variables(&|c| format!("{} is not null", self.new_column(&c.name)));
                        // A value that follows from nothing at all does not say that nothing is what the old version is to read.
                        let left_out = self.old_given().map(|given| format!(" or not ({given})")).unwrap_or_default();
                        lines.push(format!("if {differs}{left_out} then"));
                        lines.extend(self.resolve(&self.old_given(), "  "));
                        lines.push("end if;".to_owned());
                        new.extend(self.scoped(lines, ""));
                    } else {
                        new.extend(self.set_old(""));
                    }
                }
                Writer::Marker if self.lens.old.iter().any(|c| c.counts) && self.lens.ups().next().is_some() => {
                    let left_out: Vec<String> = self.lens.new.iter().map(|c| format!("{} is null", self.new_column(&c.name))).collect();
                    new.push(format!("if {} then", self.sql.all(&left_out)));
                    new.push("  -- the old column has counted for both".to_owned());
                    new.extend(self.set_new("  "));
                    new.push("else".to_owned());
                    new.extend(self.set_old("  "));
                    new.push("end if;".to_owned());
                }
                Writer::Marker | Writer::NewSideGiven if self.lens.new.is_empty() && self.tries_down() => {
                    new.extend(self.scoped(self.set_old_if_possible(""), ""));
                }
                Writer::Marker | Writer::NewSideGiven => new = self.set_old(""),
            }
        }
        (new, old)
    }

    /// Shared access: the condition that an INSERT gave the old side, where that can be told (no default stands in for it).
    fn old_given(&self) -> Option<String> {
        let parts: Vec<String> =
            self.lens.old.iter().filter(|c| !c.has_default).map(|c| format!("{} is not null", self.new_column(&c.name))).collect();
        (!parts.is_empty()).then(|| self.sql.any(&parts))
    }

    /// The two sides disagree: who wins. `old_wrote` is the condition that the old side was written too.
    fn resolve(&self, old_wrote: &Option<String>, indent: &str) -> Vec<String> {
        let mut lines = Vec::new();
        match (self.lens.on_conflict, old_wrote) {
            (OnConflict::New, _) | (_, None) => lines.extend(self.set_old(indent)),
            (OnConflict::Old, Some(old_wrote)) => {
                lines.push(format!("{indent}if {old_wrote} then"));
                lines.extend(self.set_new(&format!("{indent}  ")));
                lines.push(format!("{indent}else"));
                lines.extend(self.set_old(&format!("{indent}  ")));
                lines.push(format!("{indent}end if;"));
            }
            (OnConflict::Error, Some(old_wrote)) => {
                lines.push(format!("{indent}if {old_wrote} then"));
                let why = format!("{}: one statement wrote both sides, and they disagree", self.title());
                lines.push(format!("{indent}  {}", self.sql.fail(&why)));
                lines.push(format!("{indent}end if;"));
                lines.extend(self.set_old(indent));
            }
        }
        lines
    }

    fn changed(&self, columns: &[(String, Type)]) -> String {
        let parts: Vec<String> = columns.iter().map(|(name, ty)| self.sql.changed(name, ty)).collect();
        self.sql.any(&parts)
    }

    fn side(columns: &[SyncColumn]) -> Vec<(String, Type)> {
        columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect()
    }

    pub(super) fn update(&self) -> Vec<String> {
        let lens = self.lens;
        let mut lines: Vec<String> = Vec::new();
        let n_changed = self.changed(&Self::side(&lens.new));
        let o_changed = self.changed(&Self::side(&lens.old));
        if lens.new.is_empty() {
            // The old side follows from columns that both have, as long as it is what they give.
            if !self.old_follows() {
                return lines;
            }
            let inputs = self.changed(&lens.down_inputs);
            if self.tries_down() {
                lines.push(format!("if not ({o_changed}) and ({inputs}) then"));
                let (mut statements, differed) = self.old_differed("  ");
                statements.push(format!("  if {} then", self.none(&differed)));
                statements.extend(self.set_old_if_possible("    "));
                statements.push("  end if;".to_owned());
                lines.extend(self.scoped(statements, "  "));
            } else {
                lines.push(format!("if not ({o_changed}) and ({inputs}) and {} then", self.none(&self.old_differed("").1)));
                lines.extend(self.set_old("  "));
            }
            lines.push("end if;".to_owned());
            return lines;
        }
        if lens.old.is_empty() {
            if !self.follows() {
                return lines;
            }
            lines.push(format!("if not ({n_changed}) and ({}) then", self.changed(&lens.up_inputs)));
            lines.extend(self.follow("  "));
            lines.push("end if;".to_owned());
            return lines;
        }
        lines.push(format!("if {n_changed} then"));
        if self.lens.downs().next().is_some() || self.lens.ups().next().is_some() {
            lines.extend(self.new_side_changed(&o_changed));
        }
        if self.lens.ups().next().is_some() {
            let word = self.sql.else_if();
            lines.push(format!("{word} {o_changed} then"));
            lines.push("  -- the old version wrote".to_owned());
            lines.extend(self.set_new("  "));
            if self.follows() {
                lines.push(format!("{word} {} then", self.changed(&lens.up_inputs)));
                lines.extend(self.follow("  "));
            }
            if self.old_follows() {
                lines.push(format!("{word} {} then", self.changed(&lens.down_inputs)));
                lines.extend(self.follow_back("  "));
            }
        } else if self.old_follows() {
            lines.push(format!("{} not ({o_changed}) and ({}) then", self.sql.else_if(), self.changed(&lens.down_inputs)));
            lines.extend(self.follow_back("  "));
        }
        lines.push("end if;".to_owned());
        lines
    }

    /// For each column of the old side the condition that it was not what its formula gave for the row as it was, and before it the
    /// statements that try the formulas where they may have no value.
    fn old_differed(&self, indent: &str) -> (Vec<String>, Vec<String>) {
        let was = |c: &SyncColumn| self.old_column(&c.name);
        if !self.tries_down() {
            let differs = |(c, f): (&SyncColumn, &Formula)| self.sql.distinct(&was(c), &self.sql.as_stored(f, &c.ty, Row::Old), &c.ty);
            return (Vec::new(), self.lens.downs().map(differs).collect());
        }
        let given = |c: &SyncColumn| self.sql.variable(Way::Down, c);
        let compute = self.lens.downs().map(|(c, f)| format!("{indent}  {}", self.sql.set(&given(c), &self.sql.value(f, &c.ty, Row::Old))));
        let clear = self.lens.downs().map(|(c, _)| self.sql.set(&given(c), "null"));
        let why = "the row had no value so far, which nobody may be kept from mending";
        let statements = self.sql.attempt(compute.collect(), clear.collect(), why, indent);
        (statements, self.lens.downs().map(|(c, _)| self.sql.distinct(&was(c), &given(c), &c.ty)).collect())
    }

    /// O := down(row), or as it is where that fails: the old version may have said what it is made of, and nobody keeps it from that.
    /// By a variable: where an assignment to the row fails, nothing says what the row has then.
    fn set_old_if_possible(&self, indent: &str) -> Vec<String> {
        let given = |c: &SyncColumn| self.sql.variable(Way::Down, c);
        let compute = self.lens.downs().map(|(c, f)| self.sql.set(&given(c), &self.sql.value(f, &c.ty, Row::New)));
        let write = self.lens.downs().map(|(c, _)| self.sql.set(&self.new_column(&c.name), &given(c)));
        let statements = compute.chain(write).map(|statement| format!("{indent}  {statement}")).collect();
        let why = "it gives no value: what the old version reads stays as it is";
        self.sql.attempt(statements, Vec::new(), why, indent)
    }

    /// None of the conditions holds.
    fn none(&self, conditions: &[String]) -> String {
        self.sql.all(&conditions.iter().map(|condition| format!("not ({condition})")).collect::<Vec<_>>())
    }

    /// An input of the old side changed: O follows if it was what the formula gave, and not what the old version said. What
    /// follows from O says the same already. A row without any N can't be told from one that is not filled yet.
    fn follow_back(&self, indent: &str) -> Vec<String> {
        let mut lines = vec![format!("{indent}-- an input changed: what the old version reads follows, where the new version had set it")];
        let given = self.sql.any(&self.lens.new.iter().map(|c| format!("{} is not null", self.new_column(&c.name))).collect::<Vec<_>>());
        let comment = lines.len();
        let said = if self.lens.ups().next().is_some() {
            lines.extend(self.compute_if_possible(Row::New, indent));
            let differs: Vec<String> =
                self.lens.ups().map(|(c, _)| self.sql.distinct(&self.new_column(&c.name), &self.sql.variable(Way::Up, c), &c.ty)).collect();
            format!("({given}) and ({})", self.sql.any(&differs))
        } else {
            given
        };
        // Two conditions, so that the formula is tried only on a row that it gave a value before.
        lines.push(format!("{indent}if {said} then"));
        let (tried, differed) = self.old_differed(&format!("{indent}  "));
        lines.extend(tried);
        lines.push(format!("{indent}  if {} then", self.none(&differed)));
        lines.extend(self.set_old(&format!("{indent}    ")));
        lines.push(format!("{indent}  end if;"));
        lines.push(format!("{indent}end if;"));
        let statements = lines.split_off(comment);
        lines.extend(self.scoped(statements, indent));
        lines
    }

    fn new_side_changed(&self, o_changed: &str) -> Vec<String> {
        if self.lens.ups().next().is_none() {
            return self.set_old("  ");
        }
        let guarded = !self.sql.has_conditions() && self.can_be_compared_first();
        let indent = if guarded { "    " } else { "  " };
        let mut lines = self.new_side_follows(o_changed, indent);
        if lines.is_empty() {
            return vec![format!("  {}  -- the old version reads what it had", self.sql.nothing())];
        }
        lines = self.scoped(lines, indent);
        if guarded {
            lines.insert(0, "  -- a side that already agrees is left alone: so a row that is being filled passes by".to_owned());
            lines.insert(1, format!("  if {} then", self.differs_from_formulas()));
            lines.push("  end if;".to_owned());
        }
        lines
    }

    /// What a changed new side asks for where it is given by formulas, too.
    fn new_side_follows(&self, o_changed: &str, indent: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let unfilled: Vec<String> = self.lens.new.iter().map(|c| format!("{} is null", self.old_column(&c.name))).collect();
        let unfilled = self.sql.all(&unfilled);
        let several = self.lens.new.len() > 1;
        if several {
            lines.push(format!("{indent}if {unfilled} then"));
            lines.push(format!("{indent}  -- a row that is not filled yet: what the statement leaves out comes from the old shape"));
            let mut fill: Vec<String> = Vec::new();
            for (column, formula) in self.lens.ups() {
                let new = self.new_column(&column.name);
                let value = format!("coalesce({new}, {})", self.sql.value(formula, &column.ty, Row::Old));
                fill.push(format!("{indent}  {}", self.sql.set(&new, &value)));
            }
            if self.lens.downs().next().is_some() {
                // Two conditions, so that the formula is tried only on a row of which it is asked.
                lines.push(format!("{indent}  -- (where the new version has said NULL, the old shape is what that gives)"));
                let (tried, differed) = self.old_differed(&format!("{indent}  "));
                lines.extend(tried);
                lines.push(format!("{indent}  if {} then", self.sql.any(&differed)));
                lines.extend(fill.into_iter().map(|line| format!("  {line}")));
                lines.push(format!("{indent}  end if;"));
            } else {
                lines.extend(fill);
            }
            lines.push(format!("{indent}end if;"));
        }
        if self.lens.downs().next().is_some() {
            lines.extend(self.compute_if_possible(Row::New, indent));
            let mut condition =
                self.differs_from_variables(&|c| self.sql.distinct(&self.new_column(&c.name), &self.old_column(&c.name), &c.ty));
            if self.lens.new.iter().any(|c| c.backfill.is_some()) {
                // What the backfill gives a row is declared to differ; the old side stays as it is.
                let old_row = self.backfill_differs();
                condition = format!("({condition}) and (not ({unfilled}) or {old_row})");
            }
            lines.push(format!("{indent}if {condition} then"));
            lines.push(format!("{indent}  -- the new version wrote something that does not follow from the old shape"));
            lines.extend(self.resolve(&Some(o_changed.to_owned()), &format!("{indent}  ")));
            lines.push(format!("{indent}end if;"));
        }
        lines
    }

    /// N differs from up(row), told without a variable. What is equal so is equal in the column's own type; what is not may be.
    fn differs_from_formulas(&self) -> String {
        let differs: Vec<String> = self
            .lens
            .ups()
            .map(|(c, f)| self.sql.distinct(&self.new_column(&c.name), &self.sql.value(f, &c.ty, Row::New), &c.ty))
            .collect();
        self.sql.any(&differs)
    }

    /// Whether formulas say the whole new side, in plain expressions.
    fn is_plain(&self) -> bool {
        let lens = self.lens;
        lens.ups().all(|(_, f)| !has_subquery(f)) && lens.new.iter().all(|c| c.formula.is_some()) && !lens.new.is_empty()
    }

    /// Whether the formulas may be tried before a variable has them: where one fails, an assignment says so, and a condition may not.
    fn can_be_compared_first(&self) -> bool {
        self.is_plain()
            && !self.up_may_fail()
            && self.lens.ups().all(|(column, formula)| match formula {
                Formula::Column(_) | Formula::Relabel { .. } | Formula::Written(_) => true,
                Formula::Cast(from) => {
                    let from = self.lens.old.iter().find(|c| c.name == *from);
                    from.is_some_and(|from| is_text(&column.ty) || !is_text(&from.ty))
                }
                Formula::Values { .. } | Formula::Next(_) => false,
            })
    }

    /// N differs from what the backfill gives the row as it was.
    fn backfill_differs(&self) -> String {
        let parts: Vec<String> = self
            .lens
            .new
            .iter()
            .filter_map(|c| {
                let formula = c.of_backfill()?;
                Some(self.sql.distinct(&self.new_column(&c.name), &self.sql.as_stored(formula, &c.ty, Row::Old), &c.ty))
            })
            .collect();
        match parts.as_slice() {
            [one] => one.clone(),
            _ => format!("({})", self.sql.any(&parts)),
        }
    }

    /// Whether a formula of the new side has no value for some rows, or one that is out of range.
    fn up_may_fail(&self) -> bool {
        self.may_fail(self.lens.ups(), &self.lens.old, &self.lens.up_inputs)
    }

    /// Whether the same is so of the old side, and its formulas are tried.
    fn tries_down(&self) -> bool {
        let lens = self.lens;
        let is_asked = self.old_follows() || lens.new.is_empty() || (lens.new.len() > 1 && lens.ups().next().is_some());
        is_asked && self.may_fail(lens.downs(), &lens.new, &lens.down_inputs)
    }

    fn may_fail<'f>(
        &self,
        mut formulas: impl Iterator<Item = (&'f SyncColumn, &'f Formula)>,
        side: &[SyncColumn],
        inputs: &[(String, Type)],
    ) -> bool {
        let dialect = self.sql.dialect();
        let side = Self::side(side);
        let of_input = |name: &str| {
            let found = inputs.iter().chain(&side).find(|(input, _)| input == name);
            found.map_or(Domain::Other, |(_, ty)| domain(ty, dialect))
        };
        let fails = |text: &str, ty: &Type| why_fails(text, dialect, &of_input, domain(ty, dialect)).is_some();
        formulas.any(|(column, formula)| matches!(formula, Formula::Written(written) if fails(&written.text, &column.ty)))
    }

    /// An input changed: N follows if it was what the formula gave.
    fn follow(&self, indent: &str) -> Vec<String> {
        let mut lines = vec![format!("{indent}-- an input changed: the value follows, unless the new version had set it")];
        let mut statements = self.compute_if_possible(Row::Old, indent);
        let differs: Vec<String> =
            self.lens.ups().map(|(c, _)| self.sql.distinct(&self.new_column(&c.name), &self.sql.variable(Way::Up, c), &c.ty)).collect();
        statements.push(format!("{indent}if not ({}) then", self.sql.any(&differs)));
        statements.extend(self.set_new(&format!("{indent}  ")));
        if !self.lens.old.is_empty() && self.old_follows() {
            statements.push(format!("{indent}else"));
            statements.extend(self.follow_back(&format!("{indent}  ")));
        }
        statements.push(format!("{indent}end if;"));
        lines.extend(self.scoped(statements, indent));
        lines
    }

    /// Variables := up(row), or NULL where it fails. What was written before must not keep anyone from writing something better.
    fn compute_if_possible(&self, row: Row<'_>, indent: &str) -> Vec<String> {
        if !self.up_may_fail() {
            return self.compute(row, indent);
        }
        let compute = self.compute(row, &format!("{indent}  "));
        let clear = self.lens.ups().map(|(c, _)| self.sql.set(&self.sql.variable(Way::Up, c), "null")).collect();
        let why = match row {
            Row::Old => "the row had no value so far, which nobody may be kept from mending",
            Row::New | Row::Table(_) | Row::Alias(_) => "what the old version reads gives no value: what is written here counts",
        };
        self.sql.attempt(compute, clear, why, indent)
    }

    /// When the UPDATE trigger has anything to do: the backfill, for one, passes by without calling the function.
    pub(super) fn update_condition(&self) -> String {
        let lens = self.lens;
        let mut columns = Self::side(&lens.new);
        columns.extend(Self::side(&lens.old));
        if self.follows() {
            columns.extend(lens.up_inputs.iter().cloned());
        }
        if lens.new.is_empty() || self.old_follows() {
            columns.extend(lens.down_inputs.iter().filter(|input| !lens.up_inputs.contains(input) || !self.follows()).cloned());
        }
        let changed = self.changed(&columns);
        // The formula may fail on what the old side holds while the new one is being set to another value.
        if !self.is_plain() || self.up_may_fail() {
            return changed;
        }
        format!("({changed})\n      and ({})", self.differs_from_formulas())
    }
}

fn is_text(ty: &Type) -> bool {
    matches!(ty.kind, TypeKind::Text | TypeKind::Varchar(_) | TypeKind::Char(_))
}

fn has_subquery(formula: &Formula) -> bool {
    match formula {
        Formula::Written(expr) => expr.has_subquery,
        Formula::Column(_) | Formula::Cast(_) | Formula::Relabel { .. } | Formula::Next(_) | Formula::Values { .. } => false,
    }
}
