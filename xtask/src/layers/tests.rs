//! Hand-made graphs, and the workspace itself.

use super::*;

const CRATES: [&str; 9] = [
    "kurs",
    "kurs-api",
    "kurs-bench",
    "kurs-core",
    "kurs-reader",
    "kurs-sim",
    "kurs-testkit",
    "kurs-writer",
    "xtask",
];

/// The rule broken by one edge in an otherwise sound workspace, if any.
#[track_caller]
fn check_edge(from: &str, to: &str, kind: Kind, broken: Option<&str>) {
    let edge = Edge {
        from: from.into(),
        to: to.into(),
        kind,
    };
    let graph = Graph {
        crates: CRATES
            .iter()
            .map(|name| ((*name).to_owned(), Some((*name).to_owned())))
            .collect(),
        edges: vec![edge],
    };
    let said = check(&graph)
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    match broken {
        None => assert!(said.is_empty(), "{said:?}"),
        Some(words) => assert!(
            said.len() == 1 && said[0].contains(words),
            "{said:?} lacks {words:?}"
        ),
    }
}

#[test]
fn edges_to_lower_levels_pass() {
    check_edge("kurs-writer", "kurs-core", Kind::Normal, None);
    check_edge("kurs", "kurs-api", Kind::Normal, None);
    check_edge("kurs-api", "kurs-reader", Kind::Build, None);
    check_edge("kurs", "kurs-writer", Kind::Development, None);
}

#[test]
fn sideways_edges_fail_also_in_tests() {
    for kind in [Kind::Normal, Kind::Build, Kind::Development] {
        check_edge(
            "kurs-writer",
            "kurs-reader",
            kind,
            Some("never uses its neighbours"),
        );
    }
}

#[test]
fn upward_edges_fail_also_in_tests() {
    for kind in [Kind::Normal, Kind::Build, Kind::Development] {
        check_edge(
            "kurs-core",
            "kurs-writer",
            kind,
            Some("never uses a higher level"),
        );
    }
}

#[test]
fn the_test_kit_is_for_tests_and_benchmarks_only() {
    check_edge("kurs-writer", "kurs-testkit", Kind::Development, None);
    check_edge("kurs-sim", "kurs-testkit", Kind::Development, None);
    check_edge("kurs-bench", "kurs-testkit", Kind::Normal, None);
    check_edge(
        "kurs",
        "kurs-testkit",
        Kind::Normal,
        Some("[dev-dependencies] only"),
    );
    check_edge(
        "kurs-sim",
        "kurs-testkit",
        Kind::Build,
        Some("[dev-dependencies] only"),
    );
    check_edge("kurs-testkit", "kurs-core", Kind::Normal, None);
    check_edge(
        "kurs-testkit",
        "kurs-reader",
        Kind::Normal,
        Some("uses level 0 only"),
    );
}

#[test]
fn the_simulator_knows_core_only_and_is_kept_out_of_the_product_crates() {
    check_edge("kurs-sim", "kurs-core", Kind::Normal, None);
    check_edge("kurs", "kurs-sim", Kind::Normal, None);
    check_edge("kurs-writer", "kurs-sim", Kind::Development, None);
    check_edge("kurs-bench", "kurs-sim", Kind::Normal, None);
    check_edge(
        "kurs-writer",
        "kurs-sim",
        Kind::Normal,
        Some("for the binary"),
    );
    check_edge(
        "kurs-sim",
        "kurs-writer",
        Kind::Normal,
        Some("uses kurs-core only"),
    );
    check_edge(
        "kurs-sim",
        "kurs-writer",
        Kind::Development,
        Some("uses kurs-core only"),
    );
}

#[test]
fn tasks_and_benchmarks_are_used_by_nobody() {
    check_edge("kurs", "xtask", Kind::Normal, Some("nobody uses the tasks"));
    check_edge(
        "kurs",
        "kurs-bench",
        Kind::Development,
        Some("nobody uses the benchmarks"),
    );
    check_edge(
        "xtask",
        "kurs-core",
        Kind::Normal,
        Some("must build when nothing else does"),
    );
}

#[test]
fn a_crate_without_a_level_fails() {
    let graph = Graph {
        crates: [("kurs-new".to_owned(), Some("kurs-new".to_owned()))].into(),
        edges: vec![],
    };
    assert_eq!(
        check(&graph),
        [Mistake::NoPlace {
            name: "kurs-new".into()
        }]
    );
}

#[test]
fn a_folder_carries_the_name_of_its_crate() {
    let graph = Graph {
        crates: [("kurs-core".to_owned(), Some("core".to_owned()))].into(),
        edges: vec![],
    };
    assert_eq!(
        check(&graph),
        [Mistake::Folder {
            name: "kurs-core".into(),
            folder: "core".into()
        }]
    );
}

#[test]
fn the_workspace_keeps_its_layers() {
    let workspace = Workspace::load().unwrap();
    let graph = Graph::read(&workspace.metadata);
    let mistakes = check(&graph)
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn edges_of_every_kind_are_read_from_the_workspace() {
    let graph = Graph::read(&Workspace::load().unwrap().metadata);
    let has = |from: &str, to: &str, kind| {
        graph.edges.contains(&Edge {
            from: from.into(),
            to: to.into(),
            kind,
        })
    };
    assert!(has("kurs", "kurs-core", Kind::Normal));
    assert!(
        !has("kurs", "serde", Kind::Normal),
        "a crate of the registry is no edge"
    );
    let in_tests = |edge: &Edge| edge.kind == Kind::Development && edge.to == "kurs-testkit";
    assert!(graph.edges.iter().any(in_tests));
    assert_eq!(
        graph.crates.get("kurs-core"),
        Some(&Some("kurs-core".to_owned()))
    );
    assert_eq!(graph.crates.get("xtask"), Some(&None));
}
