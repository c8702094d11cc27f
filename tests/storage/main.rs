//! What any store must do: one function per promise, run once per database.
//!
//! A further database needs constructors like [`sqlite::world`] and [`sqlite::nodes`] and two more lines at the end of this
//! file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod audit;
mod challenges;
mod copying;
mod django_postgres;
mod guesses;
mod imports;
mod invalidations;
mod outbox;
mod password_resets;
mod postgres;
#[path = "../postgres/server.rs"]
mod postgres_server;
mod quotas;
mod second_factors;
mod sessions;
mod sign_ins;
mod signing_keys;
mod sqlite;
mod store_outages;
mod two_nodes;
mod users;

use std::any::Any;
use std::sync::Arc;

use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{AuditAction, AuditOutcome, Initiator};
use portcullis::domain::change::Change;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::invalidation::{Epoch, Invalidation};
use portcullis::storage::api_keys::ApiKeys;
use portcullis::storage::audit::AuditTrail;
use portcullis::storage::challenges::Challenges;
use portcullis::storage::guesses::Guesses;
use portcullis::storage::imports::Imports;
use portcullis::storage::invalidations::Invalidations;
use portcullis::storage::outbox::Outbox;
use portcullis::storage::password_resets::PasswordResets;
use portcullis::storage::quotas::Quotas;
use portcullis::storage::second_factors::SecondFactors;
use portcullis::storage::sessions::Sessions;
use portcullis::storage::sign_ins::SignIns;
use portcullis::storage::signing_keys::SigningKeys;
use portcullis::storage::slow_keys::SlowKeys;
use portcullis::storage::users::Users;

/// An empty store.
pub struct World {
    pub users: Arc<dyn Users>,
    pub sessions: Arc<dyn Sessions>,
    pub api_keys: Arc<dyn ApiKeys>,
    pub signing_keys: Arc<dyn SigningKeys>,
    pub invalidations: Arc<dyn Invalidations>,
    pub imports: Arc<dyn Imports>,
    pub slow_keys: Arc<dyn SlowKeys>,
    pub outbox: Arc<dyn Outbox>,
    pub second_factors: Arc<dyn SecondFactors>,
    pub challenges: Arc<dyn Challenges>,
    pub sign_ins: Arc<dyn SignIns>,
    pub guesses: Arc<dyn Guesses>,
    pub audit: Arc<dyn AuditTrail>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub quotas: Arc<dyn Quotas>,
    /// Whatever must live as long as the store does.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl World {
    /// What was invalidated after `epoch`, of kinds that are known.
    pub async fn invalidated_after(&self, epoch: Epoch) -> Vec<Invalidation> {
        let entries = self.invalidations.after(epoch, 1000).await.unwrap();
        entries.into_iter().map(|entry| entry.what.unwrap()).collect()
    }
}

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// What comes with a change whose audit is not looked at.
pub fn change() -> Change {
    let random = OsRandom::new();
    Initiator::operator().did(AuditAction::UserChange, AuditOutcome::Done, at(0), &random).into()
}

/// What comes with a change, and can be told from what comes with another.
pub fn change_of(action: AuditAction, secs: i64) -> Change {
    Initiator::operator().did(action, AuditOutcome::Done, at(secs), &OsRandom::new()).into()
}

/// Text that was trouble somewhere.
pub fn odd_texts() -> Vec<String> {
    vec![
        String::new(),
        "'; DROP TABLE users; --".to_owned(),
        "\"quoted\" `back` \\ % _ $1 ?1 :a @b".to_owned(),
        "🦀 e\u{301} é ß İ ﬁ".to_owned(),
        "\u{202e}right\u{200f} to left\u{feff}".to_owned(),
        "line\nbreak\ttab\r".to_owned(),
        "x".repeat(1_000_000),
    ]
}

/// The same for what is looked for: names, ids and addresses, of which no more than 2000 bytes are promised.
pub fn odd_names() -> Vec<String> {
    odd_texts().into_iter().map(|text| text.chars().take(2000).collect()).collect()
}

macro_rules! promises {
    ($database:ident, $world:path; $($noun:ident: $($promise:ident)+;)+) => {
        mod $database {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let world = $world().await;
                    crate::$noun::$promise(&world).await;
                })+
            })+
        }
    };
}

macro_rules! contract {
    ($database:ident, $world:path) => {
        promises! {
            $database, $world;
            users:
                come_back_as_they_were_stored
                names_and_ids_are_unique
                names_are_compared_exactly
                odd_texts_come_back_unchanged
                are_listed_by_name_in_pages
                disabling_ends_the_sessions_and_enabling_revives_none
                a_new_password_ends_the_sessions
                changes_to_nobody_change_nothing
                a_better_hash_is_lost_when_the_password_changed
                changes_are_made_one_by_one_and_all_at_once
                a_change_that_cannot_be_made_changes_nothing
                a_new_address_makes_links_void_and_another_name_does_not
                switching_off_by_a_change_ends_what_disabling_ends
                deleting_takes_everything_but_the_audit
                are_searched_literally_and_filtered
                with_foreign_passwords_are_counted_by_what_those_cost
                a_user_with_very_many_sessions_can_be_disabled;
            sessions:
                come_back_as_they_were_stored
                a_second_insert_changes_nothing
                one_of_many_rotations_wins
                an_ended_session_does_not_rotate
                the_first_end_is_kept
                one_of_many_ends_is_told
                expired_ones_are_deleted_in_batches;
            sign_ins:
                open_a_session_and_use_up_what_was_shown
                write_nothing_when_something_has_changed_since_the_check
                at_once_use_a_proof_up_once
                and_a_new_password_at_once_leave_no_session_of_the_old_one
                of_old_tokens_open_a_session_only_while_those_hold;
            guesses:
                are_counted_against_each_subject
                are_counted_against_none_when_one_is_blocked
                at_once_get_no_more_places_than_there_are
                that_were_right_are_taken_back
                that_a_clock_put_too_far_ahead_are_brought_back
                are_forgotten_by_an_unlock_that_is_told
                are_forgotten_together_and_told_once
                that_block_are_listed_the_longest_block_first
                that_are_old_are_deleted_in_batches
                of_odd_subjects_are_kept_apart;
            imports:
                rows_go_in_together_and_those_that_are_taken_are_told
                what_is_rolled_back_or_dropped_never_was
                what_was_taken_over_is_remembered_by_kind_and_id
                a_slow_key_becomes_a_fast_one_once
                a_slow_key_that_is_revoked_or_expired_is_not_found;
            api_keys:
                come_back_as_they_were_stored
                id_prefix_and_digest_are_unique
                the_first_revocation_is_kept
                are_listed_newest_first_in_pages
                are_searched_literally_and_filtered
                changes_are_made_to_keys_that_are_not_revoked
                a_rotation_names_its_successor_and_ends_the_old_key
                of_parallel_rotations_one_is_made
                every_limit_can_be_changed_and_lifted
                uses_add_up_and_nobody_is_told_to_forget
                parallel_counts_of_the_same_keys_all_arrive
                a_rotation_into_a_taken_key_changes_nothing
                odd_texts_come_back_unchanged;
            audit:
                comes_back_as_it_was_stored
                is_written_with_its_change_and_only_then
                is_listed_newest_first_in_pages
                is_found_by_each_filter_and_by_all_of_them
                is_deleted_in_batches;
            signing_keys:
                parallel_first_keys_agree
                uses_and_algorithms_are_apart
                a_known_key_that_is_not_active_is_no_answer
                a_key_is_announced_once_and_promoted_once
                a_rotated_key_verifies_until_it_is_deleted
                are_sealed_anew_unless_they_have_changed;
            second_factors:
                come_back_as_they_were_stored
                an_unconfirmed_one_makes_place_for_the_next
                beside_a_confirmed_one_another_is_set_up_with_a_proof_only
                confirming_is_done_once_with_all_that_follows
                a_further_one_leaves_the_recovery_codes
                recovery_codes_belong_to_one_user_and_are_found_until_used
                everything_goes_at_once_and_only_with_the_proof
                of_parallel_uses_of_one_proof_one_counts
                changes_to_nobody_change_nothing
                are_listed_in_pages_and_sealed_anew;
            challenges:
                are_counted_before_they_are_judged
                are_over_at_their_time
                of_parallel_attempts_no_more_count_than_allowed
                the_newest_few_of_a_user_are_kept
                making_one_takes_the_right_guess_back
                are_void_once_the_password_or_the_user_changes
                expired_ones_are_deleted_in_batches
                one_of_many_sign_ins_uses_it_up
                one_of_many_sign_ins_uses_a_proof_up
                a_sign_in_that_is_not_completed_leaves_nothing
                a_sign_in_by_one_factor_and_an_enrolment_do_not_pass_each_other;
            invalidations:
                start_at_zero
                tell_of_every_change_in_order
                are_not_written_for_what_did_not_happen
                of_parallel_changes_have_no_gaps
                are_read_in_pages
                are_pruned_but_for_the_newest
                without_a_time_go_with_later_ones;
            outbox:
                entries_come_back_as_they_were_stored
                an_entry_is_claimed_when_its_time_has_come_and_again_when_the_lease_is_over
                the_longest_waiting_are_claimed_first
                each_entry_goes_to_one_of_many_claimants
                what_is_done_or_given_up_is_gone
                what_failed_comes_back_at_its_time_and_tells_why
                an_entry_is_replaced_in_one_step_or_not_at_all
                entries_are_listed_in_pages_and_sealed_anew
                mail_goes_with_its_change_and_not_without_it;
            password_resets:
                come_back_as_they_were_stored
                a_newer_one_is_the_only_one_of_its_user
                one_sets_the_password_once_with_all_that_follows
                of_parallel_uses_one_counts
                what_is_void_or_over_changes_nothing
                expired_ones_are_deleted_in_batches;
            quotas:
                begin_at_nothing_and_add_up
                of_parallel_nodes_add_up
                are_forgotten_when_their_span_is_long_over;
        }
    };
}

contract!(on_sqlite, crate::sqlite::world);
contract!(on_postgres, crate::postgres::world);

macro_rules! on_two_nodes {
    ($database:ident, $nodes:path; $($promise:ident)+) => {
        mod $database {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                crate::two_nodes::$promise(&$nodes().await).await;
            })+
        }
    };
}

macro_rules! contract_of_nodes {
    ($database:ident, $nodes:path) => {
        on_two_nodes! {
            $database, $nodes;
            one_of_many_rotations_wins
            one_of_many_uses_of_a_proof_wins
            attempts_at_a_challenge_are_counted_together
            guesses_are_counted_together
            too_many_challenges_are_not_kept
            one_link_of_a_user_is_good
            a_name_goes_to_one
            keys_that_are_rotated_at_once_leave_one_active
            keys_that_are_announced_at_once_leave_one_waiting
            a_user_that_is_deleted_leaves_nothing
            mail_is_sent_by_one
        }
    };
}

contract_of_nodes!(two_nodes_on_sqlite, crate::sqlite::nodes);
contract_of_nodes!(two_nodes_on_postgres, crate::postgres::nodes);
