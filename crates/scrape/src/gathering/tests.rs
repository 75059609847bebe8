use super::*;
fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn listing(id: &str) -> Listing {
    Listing { title: "Cook".into(), external_id: id.into(), ..Listing::default() }
}

fn page(ids: &[&str]) -> Parsed {
    Parsed { listings: ids.iter().map(|id| listing(id)).collect(), ..Parsed::default() }
}

fn trouble(ending: Ending) -> Trouble {
    Trouble::ends(ending, ending.name())
}

/// Gathers and concludes.
fn outcome(limits: SourceLimits, gather: impl FnOnce(&Gathering)) -> Conclusion {
    let found = Gathering::new(now());
    gather(&found);
    found.conclude("kind", limits)
}

#[test]
fn a_source_that_was_read_whole_has_found_something_or_nothing() {
    let two = outcome(SourceLimits::default(), |found| drop(found.add(page(&["1", "2"]))));
    assert_eq!((two.ending, two.listings.len(), two.cut), (Ending::Found, 2, false));
    let none = outcome(SourceLimits::default(), |found| drop(found.add(page(&[]))));
    assert_eq!((none.ending, none.reason), (Ending::Nothing, None));
}

#[test]
fn what_came_before_a_trouble_is_kept_and_the_trouble_is_said() {
    let cut = outcome(SourceLimits::default(), |found| {
        found.add(page(&["1"]));
        found.trouble(Trouble::failed("page 2 answered 500"));
    });
    assert_eq!((cut.ending, cut.listings.len(), cut.cut), (Ending::Partial, 1, true));
    assert_eq!(cut.reason.as_deref(), Some("not all was read: page 2 answered 500"));
}

#[test]
fn without_a_page_the_trouble_that_says_most_is_the_end() {
    let check = |troubles: &[Ending], expect: Ending| {
        let ended = outcome(SourceLimits::default(), |found| {
            troubles.iter().for_each(|ending| found.trouble(trouble(*ending)));
        });
        assert_eq!((ended.ending, ended.cut), (expect, true), "{troubles:?}");
    };
    check(&[Ending::Failed, Ending::Blocked], Ending::Blocked);
    check(&[Ending::NotFound, Ending::Failed], Ending::Failed);
    check(&[Ending::Gone, Ending::NotFound], Ending::NotFound);
    check(&[Ending::Gone], Ending::Gone);
    check(&[], Ending::Failed);
}

#[test]
fn a_page_that_is_doubted_counts_as_not_read() {
    let doubted = || Parsed { doubt: Some(trouble(Ending::Suspicious)), ..Parsed::default() };
    let alone = outcome(SourceLimits::default(), |found| drop(found.add(doubted())));
    assert_eq!(alone.ending, Ending::Suspicious);
    let second = outcome(SourceLimits::default(), |found| {
        found.add(page(&["1"]));
        found.add(doubted());
    });
    assert_eq!((second.ending, second.cut), (Ending::Partial, true));
}

#[test]
fn a_postings_own_page_that_is_gone_is_no_trouble() {
    let address = Url::parse("https://example.test/p/1").unwrap();
    let alone = outcome(SourceLimits::default(), |found| found.page_gone(&address, "410".into()));
    assert_eq!((alone.ending, &alone.gone[..]), (Ending::Gone, &[address.to_string()][..]));
    let others = outcome(SourceLimits::default(), |found| {
        found.page_gone(&address, "410".into());
        found.add(page(&["2"]));
    });
    assert_eq!((others.ending, others.cut), (Ending::Found, false));
}

#[test]
fn a_posting_whose_last_day_is_over_is_gone() {
    let until =
        |id: &str, until: &str| Listing { valid_through: Some(until.into()), ..listing(id) };
    let ended = outcome(SourceLimits::default(), |found| {
        let listings = vec![
            until("over", "2026-11-22T23:59:59+00:00"),
            until("today", "2026-11-23T23:59:59+00:00"),
            until("unread", "soon"),
        ];
        found.add(Parsed { listings, ..Parsed::default() });
    });
    assert_eq!(ended.ending, Ending::Found);
    assert_eq!(
        ended.listings.iter().map(|l| &l.external_id).collect::<Vec<_>>(),
        ["today", "unread"]
    );
    assert_eq!(ended.gone, ["over"]);
}

#[test]
fn limits_of_ours_and_of_the_server_are_said() {
    let said = |limits: SourceLimits, parsed: Parsed| {
        let ended = outcome(limits, |found| drop(found.add(parsed)));
        (ended.ending, ended.cut, ended.reason.unwrap_or_default())
    };
    let left_out = Parsed { left_out: vec!["the rest".into()], ..page(&["1"]) };
    assert_eq!(
        said(SourceLimits::default(), left_out),
        (Ending::Partial, true, "not all was read: the rest".into())
    );
    let claims = |claimed| Parsed { claimed: Some(claimed), ..page(&["1", "2"]) };
    let (ending, cut, reason) = said(SourceLimits::default(), claims(3));
    assert_eq!((ending, cut), (Ending::Partial, true));
    assert!(reason.contains("it has 3 postings, and gave 2"), "{reason}");
    assert_eq!(said(SourceLimits::default(), claims(2)).0, Ending::Found);
    let capped = SourceLimits { server_cap: Some(2), ..SourceLimits::default() };
    assert_eq!(said(capped, page(&["1", "2"])).0, Ending::Partial);
    assert_eq!(said(capped, page(&["1"])).0, Ending::Found);
}

#[test]
fn records_that_could_not_be_read_are_said_and_are_all_there_is_no_zero() {
    let skipped = |ids: &[&str]| {
        let mut parsed = page(ids);
        parsed.skip("no title".into());
        outcome(SourceLimits::default(), |found| drop(found.add(parsed)))
    };
    let some = skipped(&["1"]);
    assert_eq!((some.ending, some.cut, some.look.skipped), (Ending::Partial, false, 1));
    let none = skipped(&[]);
    assert_eq!(none.ending, Ending::Suspicious);
    assert!(none.reason.unwrap().contains("none of 1 records could be read; first: no title"));
}

#[test]
fn an_empty_answer_proves_nothing_where_any_name_gets_one() {
    let limits = SourceLimits { zero_proves_nothing: true, ..SourceLimits::default() };
    let ended = |parsed| outcome(limits, |found| drop(found.add(parsed))).ending;
    assert_eq!(ended(page(&[])), Ending::Suspicious);
    assert_eq!(ended(page(&["1"])), Ending::Found);
    assert_eq!(ended(Parsed { others: 3, ..Parsed::default() }), Ending::Found);
}

#[test]
fn what_was_to_get_its_title_from_a_page_that_was_not_read_is_lost_and_said() {
    let nameless = |url: &str| Listing { url: url.into(), title: String::new(), ..listing("x") };
    let ended = outcome(SourceLimits::default(), |found| {
        let listings =
            vec![listing("1"), nameless("https://a.test/2"), nameless("https://a.test/3")];
        found.add(Parsed { listings, ..Parsed::default() });
        found.close(1);
    });
    assert_eq!((ended.ending, ended.listings.len(), ended.cut), (Ending::Partial, 1, true));
    assert!(ended.reason.unwrap().contains("1 postings have no title"));
    assert!(ended.gone.contains(&"https://a.test/2".to_owned()), "{:?}", ended.gone);
}
