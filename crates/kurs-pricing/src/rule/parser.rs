//! From words and signs to a tree: precedence climbing, bounded in length and depth.

mod calls;

use super::lexer::{Token, tokens};
use super::mistake::{RuleMistake, short};
use super::syntax::{Node, NodeKind, Operator, Rule, Span};
use crate::config::units::Percent;
use kurs_core::{Pair, PairParser};

/// Longest rule, in bytes.
pub const LENGTH_MAX: usize = 2_000;
/// Most parentheses and functions within one another.
pub const DEPTH_MAX: usize = 32;
/// Most numbers and prices in one rule.
pub const PRICES_MAX: usize = 100;
/// Most arguments of one function.
pub const ARGUMENTS_MAX: usize = 32;

/// Reads the rule of a pair. `BTC-RUB = ` in front of it is understood when it names that pair.
///
/// # Errors
/// [`RuleMistake`] where the text stops making sense.
pub fn parse(text: &str, target: Pair) -> Result<Rule, RuleMistake> {
    let whole = Span {
        start: 0,
        end: text.len(),
    };
    if text.len() > LENGTH_MAX {
        let what = format!("a rule has at most {LENGTH_MAX} characters");
        let end = text.floor_char_boundary(LENGTH_MAX);
        return Err(RuleMistake::at(Span { start: end, end }, what));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(RuleMistake::at(whole, "the rule is empty"));
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
        prices: 0,
        end: text.len(),
    };
    parser.skip_target(target)?;
    let root = parser.expression(0)?;
    if let Some((token, span)) = parser.peek() {
        let what = match token {
            Token::Close => "this parenthesis closes nothing".to_owned(),
            Token::Comma => "a comma stands only between arguments".to_owned(),
            Token::Percent => {
                "a percentage stands only behind +-, as in +-0.5%; for half a percent \
                               more write * 1.005"
                    .to_owned()
            }
            _ => "an operator is missing before this".to_owned(),
        };
        return Err(RuleMistake::at(span, what));
    }
    Ok(Rule {
        text: text.into(),
        root,
    })
}

struct Parser<'t> {
    tokens: &'t [(Token<'t>, Span)],
    at: usize,
    depth: usize,
    prices: usize,
    end: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<(&'t Token<'t>, Span)> {
        self.tokens.get(self.at).map(|(token, span)| (token, *span))
    }

    fn peek_after(&self, count: usize) -> Option<&'t Token<'t>> {
        self.tokens.get(self.at + count).map(|(token, _)| token)
    }

    fn take(&mut self) -> Option<(&'t Token<'t>, Span)> {
        let taken = self.peek();
        self.at += usize::from(taken.is_some());
        taken
    }

    /// Just behind the last character.
    fn behind(&self) -> Span {
        Span {
            start: self.end,
            end: self.end,
        }
    }

    fn expect(&mut self, expected: &Token<'_>, what: &str) -> Result<Span, RuleMistake> {
        match self.take() {
            Some((token, span)) if token == expected => Ok(span),
            Some((_, span)) => Err(RuleMistake::at(span, what)),
            None => Err(RuleMistake::at(self.behind(), what)),
        }
    }

    fn skip_target(&mut self, target: Pair) -> Result<(), RuleMistake> {
        let (Some((Token::Word(word), span)), Some(Token::Equals)) =
            (self.peek(), self.peek_after(1))
        else {
            return Ok(());
        };
        if pair_of(word, span)? != Some(target.canonical()) {
            let what = format!("this is the rule of {target}");
            return Err(RuleMistake::at(span, what));
        }
        self.at += 2;
        Ok(())
    }

    fn expression(&mut self, power: u8) -> Result<Node, RuleMistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let span = self.peek().map_or(self.behind(), |(_, span)| span);
            let what = format!("more than {DEPTH_MAX} levels within one another");
            return Err(RuleMistake::at(span, what));
        }
        let mut left = self.primary()?;
        while let Some((token, _)) = self.peek() {
            let operator = match token {
                Token::Times => Operator::Times,
                Token::Over => Operator::Over,
                Token::Plus => Operator::Plus,
                Token::Minus => Operator::Minus,
                // Binds weakest of all: it is about everything before it.
                Token::Around if power == 0 => {
                    left = self.spread(left)?;
                    break;
                }
                _ => break,
            };
            if operator.power() <= power {
                break;
            }
            self.at += 1;
            let right = self.expression(operator.power())?;
            left = Node {
                span: left.span.to(right.span),
                kind: NodeKind::Binary {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                },
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn spread(&mut self, inner: Node) -> Result<Node, RuleMistake> {
        let sign = self.take().map_or(self.behind(), |(_, span)| span);
        let what = "+- is followed by a percentage below 100, such as 0.5%";
        if matches!(inner.kind, NodeKind::Spread { .. }) {
            return Err(RuleMistake::at(sign, "there is a spread already"));
        }
        let (number, span) = match self.take() {
            Some((Token::Number(number), span)) => (*number, span),
            Some((_, span)) => return Err(RuleMistake::at(span, what)),
            None => return Err(RuleMistake::at(self.behind(), what)),
        };
        let end = self.expect(&Token::Percent, what)?;
        let Some(percent) = Percent::of_number(number) else {
            return Err(RuleMistake::at(span, what));
        };
        if let Some((token, at)) = self.peek()
            && !matches!(token, Token::Close | Token::Comma)
        {
            let what = "a spread is about all before it and stands at the end; use parentheses";
            return Err(RuleMistake::at(at, what));
        }
        Ok(Node {
            span: inner.span.to(end),
            kind: NodeKind::Spread {
                inner: Box::new(inner),
                percent,
            },
        })
    }

    fn primary(&mut self) -> Result<Node, RuleMistake> {
        let what = "a price is missing here, such as BTC-USD, cbr(USD-RUB) or a number";
        let Some((token, span)) = self.take() else {
            return Err(RuleMistake::at(self.behind(), what));
        };
        self.prices += 1;
        if self.prices > PRICES_MAX {
            let what = format!("a rule has at most {PRICES_MAX} numbers and prices");
            return Err(RuleMistake::at(span, what));
        }
        match token {
            Token::Number(number) => Ok(Node {
                span,
                kind: NodeKind::Number(*number),
            }),
            Token::Open => {
                let mut inner = self.expression(0)?;
                let end = self.expect(&Token::Close, "a closing parenthesis is missing here")?;
                inner.span = span.to(end);
                Ok(inner)
            }
            Token::Word(word) => match pair_of(word, span)? {
                Some(pair) => Ok(Node {
                    span,
                    kind: NodeKind::Pair(pair),
                }),
                None if self.peek().is_some_and(|(next, _)| *next == Token::Open) => {
                    self.call(word, span)
                }
                None => Err(RuleMistake::at(span, no_price(word))),
            },
            Token::Day(_) => Err(RuleMistake::at(
                span,
                "a day stands only in fixed(80.5, until 2026-12-31)",
            )),
            _ => Err(RuleMistake::at(span, what)),
        }
    }
}

/// The pair that this word is: two names in upper case with a dash between. `None` for a word
/// that has not this form.
fn pair_of(word: &str, span: Span) -> Result<Option<Pair>, RuleMistake> {
    let is_asset = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let Some((base, quote)) = word.split_once('-') else {
        return Ok(None);
    };
    if !is_asset(base) || !is_asset(quote) {
        return Ok(None);
    }
    match Pair::parse(word) {
        Ok(pair) if pair.canonical().base == pair.canonical().quote => {
            let what = format!("{word} is one asset twice");
            Err(RuleMistake::at(span, what))
        }
        Ok(pair) => Ok(Some(pair.canonical())),
        Err(error) => Err(RuleMistake::at(span, error.to_string())),
    }
}

/// For a word that would be a pair if it were spelled as one.
fn upper_hint(word: &str) -> Option<String> {
    let pair = PairParser::default().parse(word).ok()?;
    let is_source = word.bytes().any(|byte| byte == b'_') || word == word.to_ascii_lowercase();
    let has_letters = word.bytes().any(|byte| byte.is_ascii_alphabetic());
    // A source may be called almost anything in lower case, but not BTCUSDT or btc-usd.
    let known = |asset: kurs_core::Asset| PairParser::default().knows(asset);
    let is_plausible = !is_source || (known(pair.base) && known(pair.quote));
    (has_letters && is_plausible).then(|| format!("a pair is written {pair}"))
}

fn no_price(word: &str) -> String {
    match upper_hint(word) {
        Some(hint) => hint,
        None => format!(
            "{} alone is no price: a source is asked for a pair, {}(BTC-USD)",
            short(word),
            short(&word.to_ascii_lowercase())
        ),
    }
}
