//! What is behind an error: the SDK's own texts ("dispatch failure") leave it out.

/// An error and its reasons, outermost first. What repeats the one before it says nothing.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(reason) = next {
        let words = reason.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = reason.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn an_error_is_told_with_its_reasons_once_each() {
        let inner = Layer("connection reset", None);
        let same = Layer("connection reset", Some(Box::new(inner)));
        let outer = Layer("dispatch failure", Some(Box::new(same)));
        assert_eq!(reasons(&outer), "dispatch failure: connection reset");
    }
}
