//! Which provider computes: those to try in turn, and why some were passed over.
//!
//! Comes in: what the user asked for. Goes out: the first provider that works. A provider that is named is strict: if it
//! cannot be used, that is an error. `auto` passes over those that cannot.

use anyhow::{Context, Result, bail};
use ort::environment::Environment;

use crate::inference::Refusal;
use crate::inference::config::{AUTO, SessionConfig};
use crate::inference::providers::{PROVIDERS, Preparation, Provider};

/// The providers that are left to try.
#[derive(Clone)]
pub(crate) struct Choice {
    pub left: Vec<&'static Provider>,
    /// Whether one that fails is passed over.
    pub passes_over: bool,
    /// The provider that takes minutes to prepare and for which another one stands in. It can be used as far as a check of
    /// seconds can say.
    pub postponed: Option<&'static str>,
    /// Those that were passed over.
    pub refusals: Vec<Refusal>,
}

impl Choice {
    /// The providers that the user's setting allows and the library has. If it is not to be waited for one that takes minutes,
    /// the others stand in for it, after a check that it can be used at all.
    ///
    /// # Errors
    /// A provider that does not exist; one that is named, takes minutes, and cannot be used.
    pub fn new(environment: &Environment, config: &SessionConfig) -> Result<Self> {
        // A failing query means an unusual build of the library: then it does not have the provider.
        let built_in = |p: &&Provider| (p.is_built_in)().unwrap_or(false);
        let auto: Vec<&'static Provider> = PROVIDERS.iter().filter(|p| p.in_auto).filter(built_in).collect();
        let is_auto = config.provider == AUTO;
        let asked = if is_auto { auto.clone() } else { vec![Provider::find(&config.provider)?] };
        let mut choice = Self { left: asked, passes_over: is_auto, postponed: None, refusals: vec![] };
        while let Some(slow) = choice.left.first().copied().filter(|p| p.is_slow() && !config.waits) {
            match slow.check(environment, &config.options()) {
                Ok(()) => {
                    choice.postponed = Some(slow.name);
                    choice.left = auto.iter().copied().filter(|p| !p.is_slow()).collect();
                    choice.passes_over = true;
                }
                Err(problem) if is_auto => {
                    choice.left.remove(0);
                    choice.refuse(slow, &problem);
                }
                Err(problem) => return Err(problem).with_context(|| slow.in_words()),
            }
        }
        Ok(choice)
    }

    /// What the first provider makes of the `attempt` that does not fail. With `auto` those that fail are passed over, except
    /// the last.
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

impl Provider {
    fn is_slow(&self) -> bool {
        self.preparation == Preparation::Minutes
    }

    /// For errors.
    pub(crate) fn in_words(&self) -> String {
        format!("execution provider '{}' ({})", self.name, self.hardware)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::library;
    use crate::inference::providers::slow;

    fn choice(names: &[&str], passes_over: bool) -> Choice {
        let left = names.iter().map(|name| Provider::find(name).unwrap()).collect();
        Choice { left, passes_over, postponed: None, refusals: vec![] }
    }

    fn of(provider: &str, waits: bool) -> Result<Choice> {
        let config = SessionConfig { provider: provider.into(), waits, ..SessionConfig::default() };
        Choice::new(library::environment(None).unwrap(), &config)
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

    #[test]
    fn a_slow_provider_is_postponed_only_if_it_can_be_used() {
        let choice = of(slow::NAME, false).unwrap();
        assert_eq!((choice.postponed, choice.left.last().unwrap().name), (Some(slow::NAME), "cpu"));
        let choice = of(slow::NAME, true).unwrap();
        assert_eq!((choice.postponed, choice.left[0].name, choice.passes_over), (None, slow::NAME, false));
        let error = format!("{:#}", of("tensorrt", false).err().unwrap());
        assert!(error.contains("'tensorrt'") && error.contains("built without it"), "{error}");
    }
}
