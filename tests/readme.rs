//! What the README and `tests/cmd` show of the command line is what it does. `TRYCMD=overwrite cargo test --test readme`
//! writes the outputs of `tests/cmd` anew.

#[test]
fn commands() {
    trycmd::TestCases::new().env("COLUMNS", "100").env("NO_COLOR", "1").case("tests/cmd/*.trycmd").case("README.md");
}
