//! The identity side, put together: everything that the gateway's own endpoints ask.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::ground::{self, Nature, Stores};
use super::keyrings::Keyrings;
use super::mail::MailRoom;
use crate::access::miss_budget::MissBudget;
use crate::access::slow_keys::SlowKeyCheck;
use crate::api::context::Services;
use crate::config::settings::{Compatibility, Settings};
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::tokens::Tokens;
use crate::domain::audit::Witness;
use crate::domain::lockout::LockoutPolicy;
use crate::identity::auditor::Auditor;
use crate::identity::code_check::{CodeCheck, CodeForm};
use crate::identity::decoys::Decoys;
use crate::identity::factor_confirmation::FactorConfirmation;
use crate::identity::guess_guard::{GuessGuard, GuessRules};
use crate::identity::key_desk::KeyDesk;
use crate::identity::lane::Lane;
use crate::identity::leaked_keys::LeakedKeys;
use crate::identity::notices::Notices;
use crate::identity::outgoing::{Outgoing, SealedMail};
use crate::identity::owner_check::OwnerCheck;
use crate::identity::password_change::PasswordChangeDesk;
use crate::identity::password_confirmation::PasswordConfirmation;
use crate::identity::password_reset::PasswordResetDesk;
use crate::identity::passwords::Passwords;
use crate::identity::public_keys::PublicKeys;
use crate::identity::recovery_codes::RecoveryCodeDesk;
use crate::identity::refusal_budget::RefusalBudget;
use crate::identity::reset_requests::ResetRequests;
use crate::identity::second_factors::{Disabling, SecondFactorDesk};
use crate::identity::sessions::SessionDesk;
use crate::identity::sign_in::{ChallengeRules, SignInDesk};
use crate::identity::token_mint::{Lifetimes, TokenMint};
use crate::identity::user_desk::UserDesk;

/// Both routes of forgotten passwords write for anybody who asks, and hash nothing that would slow them down: together they
/// get so many of the store's writers, and no more.
const RESETS_AT_A_TIME: usize = 8;
const RESETS_WAITING: usize = 64;
/// How often a junk token from an address that many share is told.
const UNCOUNTED_REFUSALS: Duration = Duration::from_secs(1);

/// What the desks stand on.
pub struct Footing<'a> {
    pub settings: &'a Settings,
    pub nature: &'a Nature,
    /// Those that remember, where there are such: what is changed at a desk is forgotten at once.
    pub stores: &'a Stores,
    pub passwords: &'a Arc<Passwords>,
    pub tokens: &'a Tokens,
    pub keyrings: &'a Keyrings,
    pub master_keys: &'a Arc<MasterKeys>,
    pub mail_room: &'a MailRoom,
    pub miss_budget: Arc<MissBudget>,
    pub slow_keys: Arc<SlowKeyCheck>,
    pub decoys: Arc<Decoys>,
    pub witness: Arc<dyn Witness>,
}

pub struct Desks {
    pub services: Services,
    /// What makes mails of what waits in the outbox.
    pub outgoing: Arc<dyn Outgoing>,
    pub guess_rules: GuessRules,
}

pub fn set_up(footing: Footing<'_>) -> Desks {
    let Footing {
        settings,
        nature,
        stores,
        passwords,
        tokens,
        keyrings,
        master_keys,
        mail_room,
        miss_budget,
        slow_keys,
        decoys,
        witness,
    } = footing;
    let sealed_mail = Arc::new(SealedMail::new(Arc::clone(master_keys), Arc::clone(&nature.random)));
    let auditor =
        Auditor::new(Arc::clone(&stores.audit), witness, Arc::clone(&nature.clock), Arc::clone(&nature.random));
    let guess_rules = guess_rules(settings);
    let guard = Arc::new(GuessGuard::new(
        Arc::clone(&stores.guesses),
        guess_rules.clone(),
        auditor.clone(),
        Arc::clone(&nature.clock),
    ));
    let mint = Arc::new(TokenMint::new(tokens.clone(), lifetimes(settings), Arc::clone(&nature.random)));
    let django = settings.compatibility == Compatibility::Django;
    let form = if django { CodeForm::Django } else { CodeForm::Exact };
    let names = master_keys.keyed_digest("names of nobody");
    let codes = Arc::new(CodeCheck::new(Arc::clone(&stores.second_factors), Arc::clone(master_keys), form));
    let notices = Arc::new(Notices::new(
        Arc::clone(&stores.users),
        Arc::clone(&mail_room.templates),
        Arc::clone(&sealed_mail),
        Arc::clone(&nature.clock),
    ));
    let password = Arc::new(PasswordConfirmation {
        users: Arc::clone(&stores.users),
        passwords: Arc::clone(passwords),
        guard: Arc::clone(&guard),
        auditor: auditor.clone(),
    });
    let password_change = PasswordChangeDesk {
        users: Arc::clone(&stores.users),
        confirmation: Arc::clone(&password),
        passwords: Arc::clone(passwords),
        notices: Arc::clone(&notices),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
    };
    let reset_lane = Arc::new(Lane::new(RESETS_AT_A_TIME, RESETS_WAITING));
    let password_reset = PasswordResetDesk {
        users: Arc::clone(&stores.users),
        resets: Arc::clone(&stores.password_resets),
        passwords: Arc::clone(passwords),
        guard: Arc::clone(&guard),
        lane: Arc::clone(&reset_lane),
        uncounted_refusals: RefusalBudget::new(UNCOUNTED_REFUSALS),
        notices: Arc::clone(&notices),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
    };
    let reset_requests = Arc::new(ResetRequests {
        users: Arc::clone(&stores.users),
        resets: Arc::clone(&stores.password_resets),
        outbox: Arc::clone(&stores.outbox),
        guard: Arc::clone(&guard),
        lane: reset_lane,
        sealed: Arc::clone(&sealed_mail),
        templates: Arc::clone(&mail_room.templates),
        link: settings.mail.reset_url.clone(),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    });
    let outgoing: Arc<dyn Outgoing> = Arc::clone(&reset_requests) as _;
    let factor = Arc::new(FactorConfirmation {
        codes,
        guard: Arc::clone(&guard),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
    });
    let owner = Arc::new(OwnerCheck { password, factor: Arc::clone(&factor) });
    let second_factors = SecondFactorDesk {
        factors: Arc::clone(&stores.second_factors),
        owner: Arc::clone(&owner),
        factor: Arc::clone(&factor),
        master_keys: Arc::clone(master_keys),
        issuer: settings.second_factor.issuer.clone(),
        disabling: if django { Disabling::PasswordAlone } else { Disabling::PasswordAndFactor },
        notices: Arc::clone(&notices),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    };
    let recovery_codes = RecoveryCodeDesk {
        factors: Arc::clone(&stores.second_factors),
        owner,
        notices: Arc::clone(&notices),
        auditor: auditor.clone(),
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    };
    let sign_in = SignInDesk {
        users: Arc::clone(&stores.users),
        sign_ins: Arc::clone(&stores.sign_ins),
        challenges: Arc::clone(&stores.challenges),
        passwords: Arc::clone(passwords),
        factor,
        guard,
        names,
        decoys,
        mint: Arc::clone(&mint),
        notices: Arc::clone(&notices),
        auditor: auditor.clone(),
        challenge_rules: ChallengeRules {
            lifetime: settings.second_factor.challenge_lifetime,
            attempts: settings.second_factor.challenge_attempts,
            demanded: settings.second_factor.at_sign_in,
        },
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    };
    let sessions_desk = SessionDesk::new(
        Arc::clone(&stores.users),
        Arc::clone(&stores.sessions),
        tokens.clone(),
        mint,
        auditor.clone(),
        Arc::clone(&nature.clock),
    );
    let public_keys = PublicKeys { tokens: keyrings.tokens.clone(), assertions: keyrings.assertions.clone() };
    let leaked_keys = LeakedKeys {
        store: Arc::clone(&stores.api_keys),
        keys: ground::key_administration(stores, auditor.clone(), nature),
        notices: Arc::clone(&notices),
    };
    let services = Services {
        strips_passwords: django,
        code_form: form,
        sign_in,
        sessions: sessions_desk,
        password_change,
        password_reset,
        reset_requests,
        second_factors,
        recovery_codes,
        public_keys,
        users: UserDesk {
            users: ground::user_administration(
                settings,
                stores,
                Arc::clone(passwords),
                &notices,
                auditor.clone(),
                nature,
            ),
            second_factors: ground::second_factor_reset(stores, notices, auditor.clone(), nature),
        },
        keys: key_desk(settings, stores, auditor.clone(), nature),
        leaked_keys,
        miss_budget,
        slow_keys,
        lockouts: ground::lockouts(stores, auditor.clone(), nature),
        auditor,
    };
    Desks { services, outgoing, guess_rules }
}

/// A proxy that is trusted speaks for many, also when it does not say for whom.
pub fn shared_networks(settings: &Settings) -> Vec<IpNet> {
    settings.lockout.shared_networks.iter().chain(&settings.trusted_proxies).copied().collect()
}

fn guess_rules(settings: &Settings) -> GuessRules {
    let lockout = &settings.lockout;
    GuessRules {
        account: lockout.account,
        codes: lockout.codes,
        address: lockout.address,
        reset_requests: LockoutPolicy::requests(),
        shared: shared_networks(settings),
    }
}

const fn lifetimes(settings: &Settings) -> Lifetimes {
    let tokens = &settings.tokens;
    Lifetimes {
        access: tokens.access_lifetime,
        refresh: tokens.refresh_lifetime,
        session: tokens.session_lifetime,
        rotate: tokens.rotate,
        reuse_grace: tokens.reuse_grace,
    }
}

fn key_desk(settings: &Settings, stores: &Stores, auditor: Auditor, nature: &Nature) -> KeyDesk {
    KeyDesk {
        keys: ground::key_administration(stores, auditor, nature),
        users: Arc::clone(&stores.users),
        roles: settings.roles.clone(),
    }
}
