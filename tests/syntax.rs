//! Every script of every case is read by a parser that is not ours and not the server's.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use squawk_syntax::SourceFile;
use support::case::Case;
use support::scripts::{Phase, Scripts, compile};

fn faults(name: &str, scripts: &Scripts) -> Vec<String> {
    let mut texts: Vec<(String, &str)> = [Phase::Expand, Phase::Migrate, Phase::Contract, Phase::Abort]
        .map(|phase| (format!("{}.sql", phase.name()), scripts.of(phase)))
        .to_vec();
    texts.extend(scripts.verify.iter().map(|text| ("verify.sql".to_owned(), text.as_str())));
    texts.extend(scripts.install_new.iter().enumerate().map(|(index, text)| (format!("installation {}", index + 1), text.as_str())));
    let mut faults = Vec::new();
    for (file, text) in texts {
        for error in SourceFile::parse(text).errors() {
            let line = text[..usize::from(error.range().start())].matches('\n').count() + 1;
            faults.push(format!("{name} {file}:{line}: {}", error.message()));
        }
    }
    faults
}

#[test]
fn every_script_is_sound() {
    let mut found = Vec::new();
    for case in Case::all() {
        let case = case.unwrap_or_else(|report| panic!("{report}"));
        for access in &case.file.access {
            match compile(&case, *access) {
                Ok(scripts) => found.extend(faults(&format!("{} {}", case.name, access.name()), &scripts)),
                Err(report) => found.push(report),
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_fault_is_found() {
    let scripts = Scripts { expand: "begin;\nalter table users add colum n text not;\ncommit;\n".to_owned(), ..Scripts::default() };
    let found = faults("x", &scripts);
    assert!(found.first().is_some_and(|fault| fault.starts_with("x expand.sql:2: ")), "{found:?}");
}
