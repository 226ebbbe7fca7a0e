//! Names with parentheses: functions, sources, fixed rates.

use super::{ARGUMENTS_MAX, Parser, no_price, pair_of, upper_hint};
use crate::config::units::Day;
use crate::rule::lexer::Token;
use crate::rule::mistake::{RuleMistake, short};
use crate::rule::syntax::{Function, Node, NodeKind, Span};
use kurs_core::{Pair, SourceId};
use rust_decimal::Decimal;

impl Parser<'_> {
    /// A name and a parenthesis.
    pub(super) fn call(&mut self, name: &str, span: Span) -> Result<Node, RuleMistake> {
        self.expect(&Token::Open, "an opening parenthesis is missing here")?;
        if name == "inv" {
            let inner = self.expression(0)?;
            let end = self.expect(&Token::Close, "inv takes one expression")?;
            return Ok(Node {
                span: span.to(end),
                kind: NodeKind::Inverse(Box::new(inner)),
            });
        }
        if name == "fixed" {
            return self.fixed(span);
        }
        if let Some(function) = Function::named(name) {
            return self.function(function, span);
        }
        let Ok(source) = SourceId::parse(name) else {
            return Err(RuleMistake::at(
                span,
                format!("{} is no name of a source", short(name)),
            ));
        };
        let what =
            format!("{name} is taken for a source, which is asked for one pair: {name}(USD-RUB)");
        let pair = self.pair(&what)?;
        let end = self.expect(&Token::Close, &what)?;
        Ok(Node {
            span: span.to(end),
            kind: NodeKind::Source { source, pair },
        })
    }

    fn pair(&mut self, what: &str) -> Result<Pair, RuleMistake> {
        match self.take() {
            Some((Token::Word(word), span)) => pair_of(word, span)?.ok_or_else(|| {
                let hint = upper_hint(word).unwrap_or_else(|| what.to_owned());
                RuleMistake::at(span, hint)
            }),
            Some((_, span)) => Err(RuleMistake::at(span, what)),
            None => Err(RuleMistake::at(self.behind(), what)),
        }
    }

    /// `(PAIR)` behind a function.
    fn of_pair(&mut self, what: &str) -> Result<(Pair, Span), RuleMistake> {
        self.expect(&Token::Open, what)?;
        let pair = self.pair(what)?;
        let end = self.expect(&Token::Close, what)?;
        Ok((pair, end))
    }

    fn function(&mut self, function: Function, span: Span) -> Result<Node, RuleMistake> {
        let name = function.as_str();
        let mut names: Vec<(SourceId, Span)> = Vec::new();
        let mut arguments = Vec::new();
        let mut end;
        loop {
            if names.len() + arguments.len() >= ARGUMENTS_MAX {
                let what = format!("{name} takes at most {ARGUMENTS_MAX} arguments");
                return Err(RuleMistake::at(span, what));
            }
            match self.source_name()? {
                Some(source) => names.push(source),
                None => arguments.push(self.expression(0)?),
            }
            match self.take() {
                Some((Token::Comma, _)) => {}
                Some((Token::Close, at)) => {
                    end = at;
                    break;
                }
                Some((_, at)) => {
                    return Err(RuleMistake::at(
                        at,
                        "a comma or a closing parenthesis is missing here",
                    ));
                }
                None => {
                    let what = format!("the parenthesis of {name} is not closed");
                    return Err(RuleMistake::at(self.behind(), what));
                }
            }
        }
        if let Some((first, at)) = names.first()
            && !arguments.is_empty()
        {
            let what = format!("either sources or prices, not both: {first}(BTC-USD) is a price");
            return Err(RuleMistake::at(*at, what));
        }
        let mut of = None;
        if !names.is_empty() {
            let what = format!(
                "behind these sources stands what they are asked for: {name}(...)(BTC-USD)"
            );
            let (pair, at) = self.of_pair(&what)?;
            (of, end) = (Some(pair), at);
            for (source, span) in names {
                let kind = NodeKind::Source { source, pair };
                arguments.push(Node { span, kind });
            }
        }
        Ok(Node {
            span: span.to(end),
            kind: NodeKind::Function {
                function,
                arguments,
                of,
            },
        })
    }

    /// A lone name as an argument.
    fn source_name(&mut self) -> Result<Option<(SourceId, Span)>, RuleMistake> {
        let Some((Token::Word(word), span)) = self.peek() else {
            return Ok(None);
        };
        if !matches!(self.peek_after(1), Some(Token::Comma | Token::Close))
            || pair_of(word, span)?.is_some()
        {
            return Ok(None);
        }
        if let Some(hint) = upper_hint(word) {
            return Err(RuleMistake::at(span, hint));
        }
        let Ok(source) = SourceId::parse(word) else {
            return Err(RuleMistake::at(span, no_price(word)));
        };
        self.at += 1;
        Ok(Some((source, span)))
    }

    /// Behind `fixed(`.
    fn fixed(&mut self, span: Span) -> Result<Node, RuleMistake> {
        let what = "a fixed rate is written fixed(80.5, until 2026-12-31)";
        let value = match self.take() {
            Some((Token::Number(number), _)) if !number.is_zero() => *number,
            Some((_, at)) => return Err(RuleMistake::at(at, what)),
            None => return Err(RuleMistake::at(self.behind(), what)),
        };
        let mut until = None;
        if let Some((Token::Comma, _)) = self.peek() {
            self.at += 1;
            self.expect(&Token::Word("until"), what)?;
            until = Some(self.day(what)?);
        }
        let mut end = self.expect(&Token::Close, what)?;
        let mut of = None;
        if let Some((Token::Open, _)) = self.peek() {
            let (pair, at) = self
                .of_pair("behind a fixed rate stands what it is a rate of: fixed(80.5)(USD-RUB)")?;
            (of, end) = (Some(pair), at);
        }
        Ok(Node {
            span: span.to(end),
            kind: NodeKind::Fixed {
                value: Decimal::normalize(&value),
                until,
                of,
            },
        })
    }

    fn day(&mut self, what: &str) -> Result<Day, RuleMistake> {
        match self.take() {
            Some((Token::Day(day), _)) => Ok(*day),
            Some((_, span)) => Err(RuleMistake::at(span, what)),
            None => Err(RuleMistake::at(self.behind(), what)),
        }
    }
}
