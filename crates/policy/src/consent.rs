//! Whether a request may be served by a fallback: by configuration *and* consent, never by default.
//!
//! | policy | request says nothing | request says `allow` | request says `deny` |
//! | --- | --- | --- | --- |
//! | deny | no | no | no |
//! | opt-in | if the model's name consents | yes | no |
//! | label | yes | yes | no |

use std::error::Error;
use std::fmt;

/// What the configuration allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FallbackPolicy {
    /// No request is ever diverted.
    #[default]
    Deny,
    /// Those are diverted that ask for it, by themselves or by the name of their model.
    OptIn,
    /// All are diverted but those that refuse it; the label has to do.
    Label,
}

/// What the configuration says of the name that the request calls its model by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AliasConsent {
    /// Nothing.
    #[default]
    Silent,
    /// Whoever uses this name consents.
    Given,
}

/// What the request itself says (`x-mlx-tree-fallback`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RequestConsent {
    /// Nothing.
    #[default]
    Silent,
    /// `allow`.
    Given,
    /// `deny`.
    Withheld,
}

/// Why a request may be diverted; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consented {
    /// The request said so.
    ByRequest,
    /// Its model's name stands for it.
    ByAlias,
    /// The configuration diverts everybody.
    ByPolicy,
}

/// Why a request may not be diverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotConsented {
    /// The configuration denies it to all.
    Denied,
    /// The request said no.
    Withheld,
    /// Nobody has asked for it.
    NotAsked,
}

// === impl FallbackPolicy ===

impl FallbackPolicy {
    /// Whether a request may be diverted.
    ///
    /// # Errors
    /// Why not.
    pub const fn consents(self, alias: AliasConsent, request: RequestConsent) -> Result<Consented, NotConsented> {
        match (self, request, alias) {
            (Self::Deny, _, _) => Err(NotConsented::Denied),
            (Self::OptIn | Self::Label, RequestConsent::Withheld, _) => Err(NotConsented::Withheld),
            (Self::OptIn | Self::Label, RequestConsent::Given, _) => Ok(Consented::ByRequest),
            (Self::OptIn | Self::Label, RequestConsent::Silent, AliasConsent::Given) => Ok(Consented::ByAlias),
            (Self::OptIn, RequestConsent::Silent, AliasConsent::Silent) => Err(NotConsented::NotAsked),
            (Self::Label, RequestConsent::Silent, AliasConsent::Silent) => Ok(Consented::ByPolicy),
        }
    }
}

// === impl Consented ===

impl Consented {
    /// A word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByRequest => "by_request",
            Self::ByAlias => "by_alias",
            Self::ByPolicy => "by_policy",
        }
    }
}

// === impl NotConsented ===

impl fmt::Display for NotConsented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "no request is diverted (fallback.policy is \"deny\")",
            Self::Withheld => "the request refuses a fallback",
            Self::NotAsked => "the request has not asked for a fallback (x-mlx-tree-fallback: allow)",
        })
    }
}

impl Error for NotConsented {}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(AliasConsent, RequestConsent); 6] = [
        (AliasConsent::Silent, RequestConsent::Silent),
        (AliasConsent::Silent, RequestConsent::Given),
        (AliasConsent::Silent, RequestConsent::Withheld),
        (AliasConsent::Given, RequestConsent::Silent),
        (AliasConsent::Given, RequestConsent::Given),
        (AliasConsent::Given, RequestConsent::Withheld),
    ];

    #[test]
    fn by_default_nothing_brings_a_request_to_a_fallback() {
        for (alias, request) in ALL {
            assert_eq!(FallbackPolicy::default().consents(alias, request), Err(NotConsented::Denied));
        }
    }

    #[test]
    fn who_says_no_is_never_diverted() {
        for policy in [FallbackPolicy::Deny, FallbackPolicy::OptIn, FallbackPolicy::Label] {
            for alias in [AliasConsent::Silent, AliasConsent::Given] {
                assert!(policy.consents(alias, RequestConsent::Withheld).is_err());
            }
        }
    }

    #[test]
    fn opting_in_takes_the_request_or_the_name_of_its_model() {
        let asked = ALL.map(|(alias, request)| FallbackPolicy::OptIn.consents(alias, request).ok());
        let (request, alias) = (Some(Consented::ByRequest), Some(Consented::ByAlias));
        assert_eq!(asked, [None, request, None, alias, request, None]);
    }

    #[test]
    fn a_label_has_to_do_only_where_the_configuration_says_so() {
        let label = FallbackPolicy::Label.consents(AliasConsent::Silent, RequestConsent::Silent);
        assert_eq!(label, Ok(Consented::ByPolicy));
    }
}
