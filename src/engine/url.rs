//! What the URL of a database says besides the place.

/// The options of a URL that have one of these names, and the URL without them. A later one of a name stands for those before it.
pub(super) fn take_options(url: &str, names: &[&str]) -> (String, Vec<(String, String)>) {
    // A password may hold what begins a query elsewhere.
    let behind = url.rfind('@').map_or(0, |at| at + 1);
    let Some((start, query)) = url[behind..].split_once('?') else { return (url.to_owned(), Vec::new()) };
    let mut taken = Vec::new();
    let mut left = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some((name, value)) if names.contains(&name) => taken.push((name.to_owned(), decoded(value))),
            _ => left.push(part),
        }
    }
    let mark = if left.is_empty() { "" } else { "?" };
    ([&url[..behind], start, mark, &left.join("&")].concat(), taken)
}

/// The last value of a name.
pub(super) fn value<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
    options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `%2F` is a slash.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_by_name() {
        let (url, taken) = take_options("postgres://u:p?ssl=x@h/d?a=1&ssl=%2Ft%zz%&b=2&ssl=last", &["ssl"]);
        assert_eq!(url, "postgres://u:p?ssl=x@h/d?a=1&b=2");
        assert_eq!(taken, [("ssl".to_owned(), "/t%zz%".to_owned()), ("ssl".to_owned(), "last".to_owned())]);
        assert_eq!((value(&taken, "ssl"), value(&taken, "a")), (Some("last"), None));
        assert_eq!(take_options("mysql://h/d?ssl=1", &["ssl"]).0, "mysql://h/d");
        assert_eq!(take_options("mysql://h/d", &["ssl"]).0, "mysql://h/d");
    }
}
