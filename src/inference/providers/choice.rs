//! Which provider computes: those to try in turn, and what became of them.
//!
//! Comes in: what the user asked for. Goes out: the first with which it works.

use anyhow::{Result, bail};

use crate::inference::Refusal;
use crate::inference::config::{AUTO, SessionConfig};
use crate::inference::providers::{PROVIDERS, Preparation, Provider};

/// The providers that are left to try.
#[derive(Clone)]
pub(crate) struct Choice {
    left: Vec<&'static Provider>,
    /// Whether one that fails is passed over: where the user asked for no particular one.
    passes_over: bool,
    /// The provider that was not waited for: it would take minutes to prepare.
    pub postponed: Option<&'static str>,
    /// Those that were passed over.
    pub refusals: Vec<Refusal>,
}

impl Choice {
    /// What the library has of what the user wants.
    ///
    /// # Errors
    /// A provider that does not exist.
    pub fn new(config: &SessionConfig) -> Result<Self> {
        // A failing query means an unusual build of the library: then it does not have the provider.
        let built_in = |p: &&Provider| (p.is_built_in)().unwrap_or(false);
        let auto = || PROVIDERS.iter().filter(|p| p.in_auto).filter(built_in);
        let wanted = match config.provider.as_str() {
            AUTO => auto().collect(),
            name => vec![Provider::find(name)?],
        };
        let slow = wanted.iter().copied().filter(built_in).find(|p| p.preparation == Preparation::Minutes);
        let slow = slow.filter(|_| !config.waits);
        let left = match slow {
            Some(_) => auto().filter(|p| p.preparation != Preparation::Minutes).collect(),
            None => wanted,
        };
        let passes_over = config.provider == AUTO || slow.is_some();
        Ok(Self { left, passes_over, postponed: slow.map(|p| p.name), refusals: vec![] })
    }

    /// What the first provider makes of the `attempt` that does not fail. With `auto` those that fail are passed over, all
    /// but the last.
    ///
    /// # Errors
    /// That of the one that was asked for, or of the last.
    pub fn first<T>(&mut self, mut attempt: impl FnMut(&'static Provider) -> Result<T>) -> Result<T> {
        while !self.left.is_empty() {
            let provider = self.left.remove(0);
            match attempt(provider) {
                Err(problem) if self.passes_over && !self.left.is_empty() => self.refuse(provider, &problem),
                answer => return answer,
            }
        }
        bail!("no execution provider is left to try")
    }

    /// Notes that a provider did not work.
    pub fn refuse(&mut self, provider: &Provider, problem: &anyhow::Error) {
        self.refusals.push(Refusal { provider: provider.name, reason: format!("{problem:#}") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(names: &[&str], passes_over: bool) -> Choice {
        let left = names.iter().map(|name| Provider::find(name).unwrap()).collect();
        Choice { left, passes_over, postponed: None, refusals: vec![] }
    }

    #[test]
    fn auto_passes_over_what_fails_and_goes_on_from_there() {
        let mut choice = choice(&["cuda", "openvino", "cpu"], true);
        let works = |name: &'static str| {
            move |p: &'static Provider| if p.name == name { Ok(name) } else { bail!("no {}", p.name) }
        };
        assert_eq!(choice.first(works("openvino")).unwrap(), "openvino");
        assert_eq!(choice.refusals, [Refusal { provider: "cuda", reason: "no cuda".into() }]);
        // It fails later, at its first run.
        choice.refuse(Provider::find("openvino").unwrap(), &anyhow::anyhow!("no kernel"));
        assert_eq!(choice.first(works("cpu")).unwrap(), "cpu");
        assert_eq!(choice.refusals.len(), 2);
        assert!(choice.first(works("cpu")).unwrap_err().to_string().contains("left to try"));
    }

    #[test]
    fn the_last_and_the_one_that_was_asked_for_fail_with_their_own_error() {
        let fail = |p: &'static Provider| -> Result<()> { bail!("no {}", p.name) };
        assert_eq!(choice(&["cuda", "cpu"], true).first(fail).unwrap_err().to_string(), "no cpu");
        assert_eq!(choice(&["cuda"], false).first(fail).unwrap_err().to_string(), "no cuda");
    }
}
