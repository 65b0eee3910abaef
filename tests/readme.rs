//! What the README and `tests/cmd` show of the command line is what it does. `TRYCMD=overwrite cargo test --test readme`
//! writes the outputs of `tests/cmd` anew.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd").case("README.md");
}
