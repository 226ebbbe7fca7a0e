//! What every [`Store`] must do. One suite for all implementations: hand [`run`] a function
//! that opens an empty store.
//!
//! A check panics with the promise that does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a conformance check fails by panicking, as any test does"
)]

mod alerts;
mod builders;
mod current_rates;
mod fencing;
mod history;
mod kept;
mod keys;
mod leases;
mod packing;
mod published;
mod retention;
mod settings;
mod writing;

use builders::symbol;
pub use builders::{
    all_candles, all_gaps, all_official, all_pages, all_published, all_published_pages,
    begin_epoch, book, candle, claim, current, everything, gap, id, official, one_of_everything,
    pair, price, published, rate, row, source, state,
};

use crate::{Store, StoreError};
use kurs_core::{TrackedSymbol, Wall};
use std::future::Future;
use std::sync::Arc;

/// Runs every check, each on a store of its own that `fresh` opens, empty and not migrated.
pub async fn run<F, Opening>(fresh: F)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Arc<dyn Store>>,
{
    /// Each check on a migrated store of its own.
    macro_rules! check {
        ($($check:path),* $(,)?) => {$(
            for_migrated(&fresh, |store| async move { $check(&*store).await }).await;
        )*};
    }
    an_empty_store_asks_to_be_migrated(&*fresh().await).await;
    check!(
        migrating_again_changes_nothing,
        current_rates::the_newest_current_rate_stays,
        current_rates::dropped_current_rates_are_gone_and_may_come_again,
        current_rates::a_rate_of_another_shard_replaces,
        current_rates::what_is_left_of_a_rate_is_counted_down,
        current_rates::what_changed_since_an_answer_is_told_and_nothing_is_missed,
        leases::a_lease_has_one_holder_and_epochs_grow_by_one_per_shard,
        leases::a_lease_that_ran_out_goes_to_whoever_comes_first,
        leases::renewing_makes_leases_last_and_tells_how_all_stand,
        leases::writers_live_until_they_leave_or_say_nothing,
        leases::a_lease_given_back_goes_to_its_heir,
        leases::an_heir_who_does_not_come_is_passed_over,
        leases::a_name_that_is_too_long_is_refused,
        leases::who_only_tracks_symbols_is_fenced_as_well,
        fencing::nothing_is_written_under_an_epoch_that_is_not_the_present_one,
        fencing::what_was_heard_of_an_ended_epoch_is_salvaged,
        fencing::where_nothing_was_heard_the_moment_of_the_claim_decides,
        fencing::all_of_an_epoch_given_back_is_history,
        fencing::all_of_a_writer_that_cannot_be_alive_is_history,
        fencing::salvaging_needs_an_epoch_that_somebody_closed,
        fencing::a_shard_given_back_holds_up_nobody,
        terms_are_kept_as_they_were_written,
        keys::keys_are_kept_as_they_were,
        keys::every_change_of_keys_has_a_version_and_a_use_has_none,
        keys::a_key_is_replaced_once_and_good_for_a_while_still,
        keys::a_key_is_revoked_once_and_its_last_use_goes_forward,
        settings::settings_are_kept_as_they_were,
        settings::every_change_has_its_version_and_of_two_one_comes_first,
        settings::a_change_is_made_wholly_or_not_at_all,
        settings::who_was_fenced_changes_nothing,
        settings::the_audit_log_is_read_newest_first_and_page_by_page,
        settings::what_is_changed_elsewhere_is_noted_with_it_and_only_then,
        settings::the_audit_log_goes_when_it_is_older_than_its_time,
        alerts::alerts_are_kept_as_they_were,
        alerts::a_request_for_an_alert_makes_one,
        alerts::alerts_have_bounds,
        alerts::what_fired_is_stored_with_what_is_to_be_told,
        alerts::a_delivery_is_settled_once,
        alerts::who_does_not_hold_the_lease_tells_nothing,
        alerts::chats_and_offsets_are_kept,
        alerts::the_lease_of_who_tells_is_nobodys_shard,
        symbols_are_tracked_once,
        seeding_happens_once,
        history::digits_are_kept,
        history::a_repeated_row_is_passed_over,
        history::history_is_ordered_and_bounded,
        history::pages_never_skip_or_repeat,
        history::pruning_takes_the_old_and_only_that,
        kept::the_last_rows_of_a_moment_are_found,
        kept::the_last_states_of_a_moment_are_found,
        kept::candles_replace_themselves_and_backfill_comes_first,
        kept::gaps_grow_and_are_found_where_they_overlap,
        kept::books_are_found_in_order,
        kept::an_official_rate_is_corrected_by_a_version,
        packing::packing_changes_no_answer,
        published::events_are_kept_as_they_were,
        published::pages_of_events_are_ordered_and_bounded,
        published::the_last_event_of_a_moment_is_found_to_the_millisecond,
        retention::each_tier_goes_by_itself,
        retention::what_was_served_at_the_limit_stays_known,
        retention::packed_rows_go_as_well,
        writing::a_batch_is_stored_wholly_or_not_at_all,
        writing::a_repeated_batch_doubles_nothing,
        writing::what_comes_late_is_stored_beside_blocks,
        writing::how_far_a_shard_is_recorded_never_goes_back,
    );
    for_migrated(&fresh, leases::of_many_claimants_one_gets_each_epoch).await;
    for_migrated(&fresh, history::many_may_append_at_once).await;
    for_migrated(
        &fresh,
        packing::pages_never_skip_or_repeat_while_rows_are_packed,
    )
    .await;
}

async fn for_migrated<F, Opening, Check, Checking>(fresh: &F, check: Check)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Arc<dyn Store>>,
    Check: FnOnce(Arc<dyn Store>) -> Checking,
    Checking: Future<Output = ()>,
{
    let store = fresh().await;
    store.migrate().await.unwrap();
    check(store).await;
}

async fn an_empty_store_asks_to_be_migrated(store: &dyn Store) {
    let state = store.schema().await.unwrap();
    assert_eq!(state.found, 0, "an empty store has no schema version");
    assert!(state.needed > 0);
    let pending = store.pending().await.unwrap();
    assert!(!pending.is_empty(), "all steps are to be taken");
    assert_eq!(store.pending().await.unwrap(), pending);
    assert_eq!(
        store.schema().await.unwrap(),
        state,
        "asking changes nothing"
    );
    let read = store.tracked().await.unwrap_err();
    assert!(
        matches!(read, StoreError::Schema { found: 0, .. }),
        "reading: {read}"
    );
    let written = store.append(vec![row("binance", 1, 1)]).await.unwrap_err();
    assert!(
        matches!(written, StoreError::Schema { found: 0, .. }),
        "writing: {written}"
    );
    assert!(written.to_string().contains("kurs migrate"), "{written}");
    let migrated = store.migrate().await.unwrap();
    assert_eq!(migrated, state);
    assert!(store.pending().await.unwrap().is_empty());
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
}

async fn migrating_again_changes_nothing(store: &dyn Store) {
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
    let state = store.migrate().await.unwrap();
    assert_eq!(state.found, state.needed);
    assert_eq!(store.schema().await.unwrap(), state);
    assert_eq!(all_pages(store, everything(10)).await.unwrap().len(), 1);
    store.ping().await.unwrap();
}

async fn terms_are_kept_as_they_were_written(store: &dyn Store) {
    assert_eq!(store.terms().await.unwrap(), None);
    for terms in ["{}", r#"{"policies":{"BTC-RUB":"\u0000 ключ"}}"#] {
        store.save_terms(terms.to_owned(), None).await.unwrap();
        assert_eq!(store.terms().await.unwrap().as_deref(), Some(terms));
    }
}

async fn symbols_are_tracked_once(store: &dyn Store) {
    let (bitcoin, ether) = (
        symbol("BTCUSDT", "BTC-USDT", 2_001),
        symbol("ETHUSDT", "ETH-USDT", 1_001),
    );
    assert!(store.track(bitcoin.clone(), None).await.unwrap());
    assert!(store.track(ether.clone(), None).await.unwrap());
    let again = TrackedSymbol {
        added_at: Wall(5),
        ..bitcoin.clone()
    };
    assert!(!store.track(again, None).await.unwrap(), "it was there");
    assert_eq!(
        store.tracked().await.unwrap(),
        [ether.clone(), bitcoin],
        "oldest first"
    );
    assert!(store.untrack("BTCUSDT", None).await.unwrap());
    assert!(
        !store.untrack("BTCUSDT", None).await.unwrap(),
        "it was gone"
    );
    assert_eq!(store.tracked().await.unwrap(), [ether]);
}

async fn seeding_happens_once(store: &dyn Store) {
    let (bitcoin, ether) = (
        symbol("BTCUSDT", "BTC-USDT", 1),
        symbol("ETHUSDT", "ETH-USDT", 2),
    );
    assert!(
        store
            .seed(vec![bitcoin.clone(), ether.clone()])
            .await
            .unwrap()
    );
    assert!(store.untrack("BTCUSDT", None).await.unwrap());
    assert!(!store.seed(vec![bitcoin, ether.clone()]).await.unwrap());
    assert_eq!(
        store.tracked().await.unwrap(),
        [ether],
        "what was removed by hand stays removed"
    );
}
