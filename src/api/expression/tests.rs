use super::*;

fn fault(text: &str) -> Fault {
    Expression::from(text.to_owned()).meaning().expect_err(text).clone()
}

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    for (text, at, word) in [
        ("", 1, "something is missing"),
        ("endpoint.name", 1, "no condition"),
        ("'a'", 1, "no condition"),
        ("['a']", 1, "no condition"),
        ("endpoint.name == 1", 18, "not allowed here"),
        ("endpoint.nam == 'a'", 1, "unknown word; allowed are endpoint.id"),
        ("request.auth == 'a'", 1, "unknown word"),
        ("connection.name == 'a'", 1, "unknown word"),
        ("connection.description == 'a'", 1, "unknown word"),
        ("endpoint.name == 'Lake'", 18, "lower case"),
        ("endpoint.name == 'lake", 18, "does not end"),
        ("endpoint.name == 'la\\x6be'", 18, "escapes"),
        ("endpoint.name == 'lаke'", 20, "ASCII"),
        ("endpoint.name ==", 17, "something is missing"),
        ("endpoint.name == == 'a'", 18, "something is missing"),
        ("endpoint.name == endpoint.ownSubscription", 18, "a text is needed"),
        ("endpoint.name in 'a'", 18, "a list is needed"),
        ("endpoint.name in ['a' 'b']", 23, ", is missing"),
        ("endpoint.ownSubscription && 'a'", 29, "joins conditions"),
        ("'a' || true", 1, "joins conditions"),
        ("!'a'", 2, "turns a condition round"),
        ("true false", 6, "should end here"),
        ("(true", 6, ") is missing"),
        ("endpoint.name.matches('(a+)+$')", 15, "unknown word"),
        ("connection.subResources.all(r, r == 'blob')", 25, "unknown word"),
        ("connection.subResources.exists(r, true)", 25, "unknown word"),
        ("endpoint.name.startsWith(endpoint.name.contains('a'))", 26, "unknown word"),
        ("endpoint.name.startsWith('a').startsWith('b')", 30, "should end here"),
        ("endpoint.ownSubscription ? true : false", 26, "not allowed here"),
        ("true // always", 6, "not allowed here"),
    ] {
        let fault = fault(text);
        assert!(fault.at == at && fault.what.contains(word), "{text}: {fault}");
    }
}

#[test]
fn it_goes_by_the_grammar_and_precedence_of_cel() {
    let read = |text: &str| Expression::from(text.to_owned()).meaning().expect(text).clone();
    for (text, same) in [
        ("true || false && false", "true || (false && false)"),
        ("!endpoint.ownSubscription && true", "(!endpoint.ownSubscription) && true"),
        ("endpoint.name != 'a'", "!(endpoint.name == 'a')"),
        ("endpoint.name == 'a' || endpoint.name == 'b'", "(endpoint.name == 'a') || (endpoint.name == \"b\")"),
        ("endpoint.name.startsWith('a')&&true", "( endpoint.name ) .startsWith( 'a' )\n && true"),
        ("'a' in ['a','b']", "('a') in (['a', 'b'])"),
    ] {
        assert_eq!(read(text), read(same), "{text}");
    }
}

#[test]
fn length_and_depth_are_bounded_before_they_cost_anything() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}true{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("(", ")"), ("!", "")] {
        assert!(Expression::from(nested(open, close, 16)).meaning().is_ok());
        assert!(fault(&nested(open, close, 17)).what.contains("levels"));
        assert!(fault(&nested(open, close, 200)).what.contains("levels"));
        assert!(fault(&nested(open, close, 1_000_000)).what.contains("at most 512"));
    }
    assert!(fault(&"(".repeat(500)).what.contains("levels") && fault(&"[".repeat(500)).what.contains("needed"));
    let long = vec!["true"; 64].join("&&");
    assert!(long.len() < LENGTH && Expression::from(long).meaning().is_ok(), "what is joined is not nested");
}

proptest::proptest! {
    /// Whatever is written, there is an answer; and what is written is kept word for word.
    #[test]
    fn nothing_that_can_be_written_stops_it(text in "\\PC{0,80}") {
        let expression = Expression::from(text.clone());
        proptest::prop_assert!(expression.meaning().err().is_none_or(|fault| fault.at <= text.len() + 1));
        proptest::prop_assert_eq!(String::from(expression), text);
    }

    /// The same with the words of the language, which come further.
    #[test]
    fn nor_any_order_of_its_own_words(words in proptest::collection::vec(0..20usize, 0..120), glue in 0..2usize) {
        let all = ["(", ")", "[", "]", ",", "!", "&&", "||", "==", "!=", "in", "'a'", "\"b\"", "true", "endpoint.name",
            "endpoint.ownSubscription", "connection.subResources", ".startsWith", "endpoint.id.contains", "'"];
        let text = words.iter().map(|word| all[*word]).collect::<Vec<_>>().join(["", " "][glue]);
        let expression = Expression::from(text.clone());
        proptest::prop_assert!(expression.meaning().err().is_none_or(|fault| fault.at <= text.len() + 1));
    }
}
