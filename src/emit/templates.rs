//! The templates, embedded: all SQL text of statements lives there. The only module that names `minijinja`.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

macro_rules! templates {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of every template.
        const TEMPLATES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../templates/", $name, ".sql")))),+];
    };
}

templates![
    "mysql_like/backfill",
    "mysql_like/begin",
    "mysql_like/check_rows",
    "mysql_like/copy_grants",
    "mysql_like/create_table",
    "mysql_like/finish",
    "mysql_like/finish_abort",
    "mysql_like/gate_abort",
    "mysql_like/gate_contract",
    "mysql_like/gate_expand",
    "mysql_like/gate_migrate",
    "mysql_like/header",
    "mysql_like/install_mirror",
    "mysql_like/install_sync",
    "mysql_like/latest",
    "mysql_like/mark",
    "mysql_like/may_make_triggers",
    "mysql_like/remove_sync",
    "mysql_like/run/alone",
    "mysql_like/run/batch",
    "mysql_like/run/bound",
    "mysql_like/run/count",
    "mysql_like/run/drain",
    "mysql_like/run/examples",
    "mysql_like/run/lock",
    "mysql_like/run/next",
    "mysql_like/run/one",
    "mysql_like/run/row",
    "mysql_like/run/sample",
    "mysql_like/run/top",
    "mysql_like/tidy",
    "mysql_like/twin_look",
    "mysql_like/twin_make",
    "mysql_like/twin_swap",
    "mysql_like/verify",
    "mysql_like/version_tables",
    "mysql_like/view",
    "postgres/add_columns",
    "postgres/add_constraint",
    "postgres/add_counter",
    "postgres/add_enum_value",
    "postgres/add_identity",
    "postgres/add_primary_key",
    "postgres/advance_identity",
    "postgres/advance_identity_in_swap",
    "postgres/alter_foreign_key",
    "postgres/alter_identity",
    "postgres/alter_sequence",
    "postgres/alter_type",
    "postgres/analyze",
    "postgres/attach_unique",
    "postgres/backfill",
    "postgres/backfill_pages",
    "postgres/check_rows",
    "postgres/comment",
    "postgres/copy_grants",
    "postgres/create_enum",
    "postgres/create_extension",
    "postgres/create_index",
    "postgres/create_namespace",
    "postgres/create_sequence",
    "postgres/create_shape_view",
    "postgres/create_table",
    "postgres/create_view",
    "postgres/drop_constraint",
    "postgres/drop_enum",
    "postgres/drop_extension",
    "postgres/drop_identity",
    "postgres/drop_index",
    "postgres/drop_namespace",
    "postgres/drop_not_null",
    "postgres/drop_sequence",
    "postgres/drop_table",
    "postgres/drop_views",
    "postgres/finish",
    "postgres/finish_abort",
    "postgres/gate_abort",
    "postgres/gate_contract",
    "postgres/gate_expand",
    "postgres/gate_migrate",
    "postgres/header",
    "postgres/install_mirror",
    "postgres/install_sync",
    "postgres/mark",
    "postgres/once",
    "postgres/remove_mirror",
    "postgres/remove_sync",
    "postgres/rename_constraint",
    "postgres/rename_index",
    "postgres/rename_table",
    "postgres/rename_type",
    "postgres/rename_view",
    "postgres/replace_view",
    "postgres/restore_foreign_key",
    "postgres/set_default",
    "postgres/set_not_null",
    "postgres/settle_defaults",
    "postgres/settle_shape_view",
    "postgres/share_numbers",
    "postgres/swap_columns",
    "postgres/tidy_names",
    "postgres/validate_constraint",
    "postgres/verify",
    "postgres/version_tables",
    "postgres/run/batch",
    "postgres/run/bound",
    "postgres/run/count",
    "postgres/run/drain",
    "postgres/run/examples",
    "postgres/run/next",
    "postgres/run/one",
    "postgres/run/row",
    "postgres/run/sample",
    "postgres/run/top",
    "postgres/run/vacuum",
    "postgres/undo/add_columns",
    "postgres/undo/add_counter",
    "postgres/undo/add_identity",
    "postgres/undo/alter_type",
    "postgres/undo/create_namespace",
    "postgres/undo/create_shape_view",
    "postgres/undo/drop_exclusion",
    "postgres/undo/drop_not_null",
    "postgres/undo/replace_view",
    "postgres/undo/set_default",
    "postgres/undo/set_not_null",
    "postgres/undo/share_numbers",
    "sqlite/add_columns",
    "sqlite/backfill",
    "sqlite/check_rows",
    "sqlite/copy_rows",
    "sqlite/count_on",
    "sqlite/create_shape_view",
    "sqlite/create_table",
    "sqlite/create_view",
    "sqlite/drop_index",
    "sqlite/drop_table",
    "sqlite/drop_views",
    "sqlite/finish",
    "sqlite/finish_abort",
    "sqlite/foreign_keys_after",
    "sqlite/foreign_keys_before",
    "sqlite/gate_abort",
    "sqlite/gate_contract",
    "sqlite/gate_expand",
    "sqlite/gate_migrate",
    "sqlite/header",
    "sqlite/install_mirror",
    "sqlite/install_sync",
    "sqlite/mark",
    "sqlite/rebuild_table",
    "sqlite/remove_mirror",
    "sqlite/remove_sync",
    "sqlite/rename_table",
    "sqlite/replace_view",
    "sqlite/run/batch",
    "sqlite/run/bound",
    "sqlite/run/count",
    "sqlite/run/examples",
    "sqlite/run/next",
    "sqlite/run/one",
    "sqlite/run/row",
    "sqlite/run/top",
    "sqlite/library",
    "sqlite/alter_rules",
    "sqlite/strangers",
    "sqlite/swap_columns",
    "sqlite/trigger",
    "sqlite/verify",
    "sqlite/version_tables",
];

/// The tag of dollar quotes in the templates.
const TAG: &str = "$crossfade$";

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// The templates, ready to be filled in. A name that a context lacks is an error, not an empty string.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        for (name, text) in TEMPLATES {
            // A template that does not parse is found by the test below, before anyone meets it.
            let _ = environment.add_template(name, text);
        }
        Templates { environment }
    }

    /// Fills in a template; the result has no line break at its ends.
    ///
    /// # Errors
    /// When the template and its context don't fit: a fault of crossfade, never of its input.
    pub(super) fn render(&self, name: &str, context: Value) -> Result<String, super::EmitError> {
        let fault = |error: minijinja::Error| super::EmitError { template: name.to_owned(), why: format!("{error:#}") };
        let template = self.environment.get_template(name).map_err(fault)?;
        let mut text = template.render(&context).map_err(fault)?;
        if count(&text, TAG) != count(template.source(), TAG) {
            // The author's own text holds the tag that our dollar quotes end with: they take another one.
            let tag = (1..).map(|n| format!("$crossfade_{n}$")).find(|tag| !text.contains(tag.as_str())).unwrap_or_default();
            let source = template.source().replace(TAG, &tag);
            text = self.environment.render_named_str(name, &source, &context).map_err(fault)?;
        }
        Ok(text.trim_matches('\n').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_our_own_tag_in_it_is_quoted_with_another() {
        let context = || minijinja::context! { name => "public.mood", name_literal => "'$crossfade$'", labels => "'a'", comment => () };
        let text = Templates::new().render("postgres/create_enum", context()).expect("it fits");
        assert!(text.starts_with("do $crossfade_1$") && text.ends_with("$crossfade_1$;") && text.contains("'$crossfade$'"), "{text}");
    }

    #[test]
    fn every_template_parses() {
        let mut environment = Environment::new();
        for (name, text) in TEMPLATES {
            environment.add_template(name, text).expect(name);
        }
    }
}
