//! Medians within a rule, each with an outlier gate of its own.

use super::{Figure, Part, Prices, Run, held, none_of};
use crate::config::units::Percent;
use crate::decimal::{median, times_or_max};
use crate::gate::{Vote, contradiction};
use kurs_core::SourceId;
use rust_decimal::Decimal;
use std::sync::Arc;

impl<P: Prices> Run<'_, '_, P> {
    pub(super) fn median(
        &mut self,
        (at, is_one_leg): (usize, bool),
        first: usize,
        parts: &mut [Part],
        ends: &[usize],
    ) -> Result<Figure, Arc<str>> {
        let votes: Vec<Vote> = parts
            .iter()
            .enumerate()
            .filter_map(|(key, (outcome, _))| {
                let value = outcome.as_ref().ok()?.value;
                Some(Vote { key, value })
            })
            .collect();
        let gate = self.with.gates.entry(at).or_default();
        let verdict = gate.judge(self.with.now.mono, &votes, &self.with.gate);
        if let Some(change) = verdict.next_change {
            self.next_change = Some(self.next_change.map_or(change, |other| other.min(change)));
        }
        for (vote, is_out) in votes.iter().zip(&verdict.out) {
            if !*is_out {
                continue;
            }
            let why: Arc<str> = format!("out of line with the median of {}", votes.len()).into();
            let start = vote
                .key
                .checked_sub(1)
                .and_then(|before| ends.get(before))
                .copied()
                .unwrap_or(first);
            let end = ends.get(vote.key).copied().unwrap_or(start);
            for constituent in self.constituents.get_mut(start..end).unwrap_or_default() {
                constituent.used = false;
                constituent.why = Arc::clone(&why);
            }
            if let Some((outcome, text)) = parts.get_mut(vote.key) {
                text.push_str(" (out of line)");
                *outcome = Err(why);
            }
        }
        let kept: Vec<Figure> = parts
            .iter()
            .filter_map(|(outcome, _)| outcome.as_ref().ok().cloned())
            .collect();
        let (count, wanted) = (kept.len(), self.with.min_sources.min(parts.len()));
        if kept.is_empty() {
            return Err(none_of(parts));
        }
        if verdict.contradicts {
            return Err(self.contradiction(first, ends));
        }
        let mut ends_at: Vec<_> = kept
            .iter()
            .map(|figure| (figure.valid_until, figure.expires_at))
            .collect();
        let mut figure = held(Figure::of_all(kept, median))?;
        // One leg, which holds as long as enough of its sources do. Of expressions every leg is
        // told, and the first to end ends the rule.
        ends_at.sort_unstable_by_key(|end| std::cmp::Reverse(*end));
        if let (true, Some(end)) = (is_one_leg, ends_at.get(wanted.clamp(1, count) - 1)) {
            (figure.valid_until, figure.expires_at) = *end;
        }
        if count < wanted {
            let why: Arc<str> = format!("a median of {count} where {wanted} are wanted").into();
            if self.with.refuses_few {
                return Err(why);
            }
            figure.doubt = Some(why);
        } else if verdict.is_dispersed {
            figure.doubt = Some("the prices of a median do not agree".into());
        }
        Ok(figure)
    }

    /// Nobody can tell which of them is right: none is used.
    fn contradiction(&mut self, first: usize, ends: &[usize]) -> Arc<str> {
        let settings = &self.with.gate;
        let allowed = settings.apart.max(settings.band);
        let allowed = Percent::of_number(times_or_max(allowed, Decimal::ONE_HUNDRED));
        let mut names: Vec<SourceId> = Vec::new();
        let end = ends.last().copied().unwrap_or(first);
        for one in self.constituents.get_mut(first..end).unwrap_or_default() {
            if one.used && !names.contains(&one.source) {
                names.push(one.source);
            }
            if one.used {
                one.used = false;
                one.why = "contradicted, and nobody says who is right".into();
            }
        }
        contradiction(&names, allowed.unwrap_or(Percent::of_basis_points(500))).into()
    }
}
