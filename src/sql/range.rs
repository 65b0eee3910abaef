//! Between which bounds a number lies, as far as the types of the columns tell, and whether a type holds it.

use sqlparser::ast::{BinaryOperator, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::ast::{UnaryOperator, Value};

use super::Dialect;
use super::parse::fold;

/// What a column can hold, as far as it decides whether an expression over it, or one put into it, can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Texts.
    Text,
    /// Whole numbers between these two.
    Integer {
        /// The lowest.
        low: i128,
        /// The highest.
        high: i128,
    },
    /// Decimals of so many digits, of which so many after the point.
    Decimal {
        /// All digits.
        precision: u32,
        /// Digits after the point.
        scale: i32,
    },
    /// Decimals of any size.
    AnyDecimal,
    /// Floating point.
    Float,
    /// Nothing is known.
    Other,
}

impl Domain {
    /// Whole numbers of so many bits, one of them the sign.
    pub fn signed(bits: u32) -> Self {
        Domain::Integer { low: -(1 << (bits - 1)), high: (1 << (bits - 1)) - 1 }
    }

    /// Whole numbers of so many bits, none below 0.
    pub fn unsigned(bits: u32) -> Self {
        Domain::Integer { low: 0, high: (1 << bits) - 1 }
    }
}

/// The lowest and the highest one.
type Bounds = (i128, i128);

/// What an expression gives: what it is computed in, and between which bounds it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    form: Form,
    range: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Integer { bits: u32, unsigned: bool },
    Decimal,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// `low` and `high` in units of `10^-scale`.
    Exact {
        low: i128,
        high: i128,
        scale: u32,
    },
    /// So many digits before the point, and after it.
    Digits {
        whole: u32,
        scale: u32,
    },
    Any,
}

/// Whether what an operator, a call or a cast gives may not fit in what it is computed in. What stands in it is not looked at.
pub(super) fn overflows(expr: &Expr, dialect: Dialect, domain: &dyn Fn(&str) -> Domain) -> bool {
    match expr {
        Expr::Cast { expr, data_type, .. } => {
            let to = of_type(data_type, dialect);
            // A number that a whole one of MySQL can't be is cut with a warning.
            let is_refused = dialect == Dialect::Postgres || matches!(to, Domain::Decimal { .. });
            is_refused && number(expr, dialect, domain).is_some_and(|from| !fits(&from, to))
        }
        Expr::BinaryOp { op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply, .. }
        | Expr::UnaryOp { op: UnaryOperator::Minus, .. }
        | Expr::Function(_) => number(expr, dialect, domain).is_some_and(|result| result.leaves_its_form()),
        _ => false,
    }
}

/// Whether every value of a number can be put into a column. One of which nothing is known takes it.
pub(super) fn fits(number: &Number, into: Domain) -> bool {
    match into {
        Domain::Text | Domain::AnyDecimal | Domain::Float | Domain::Other => true,
        Domain::Integer { low, high } => number.form != Form::Float && number.range.rounded(0).lies_between(low, high),
        Domain::Decimal { precision, scale } => {
            if number.form == Form::Float {
                return false;
            }
            let Ok(scale) = u32::try_from(scale) else { return true };
            match (number.range, 10_i128.checked_pow(precision)) {
                (Range::Exact { .. }, Some(limit)) => match number.range.rounded(scale).at_scale(scale) {
                    Some((low, high)) => -limit < low && high < limit,
                    None => false,
                },
                (Range::Any, _) => false,
                (range, _) => {
                    let (whole, after) = range.digits();
                    let room = precision.saturating_sub(scale);
                    // What is rounded up may have one digit more.
                    if after <= scale { whole <= room } else { whole < room }
                }
            }
        }
    }
}

/// What is known of the number that an expression gives; `None`: it is none, or nothing is known of it.
pub(super) fn number(expr: &Expr, dialect: Dialect, domain: &dyn Fn(&str) -> Domain) -> Option<Number> {
    let of = |expr: &Expr| number(expr, dialect, domain);
    match expr {
        Expr::Nested(inner) => of(inner),
        Expr::Identifier(name) => Number::of(domain(&fold(name))),
        Expr::CompoundIdentifier(parts) => Number::of(domain(&fold(parts.last()?))),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Number::literal(text),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => of(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let Number { form, range } = of(expr)?;
            let form = if let Form::Integer { bits, .. } = form { integer(dialect, bits, false) } else { form };
            Some(Number { form, range: range.negated() })
        }
        Expr::BinaryOp { left, op, right } => {
            let (a, b) = (of(left)?, of(right)?);
            let form = common(dialect, a.form, b.form, true);
            let range = match op {
                BinaryOperator::Plus => a.range.plus(b.range),
                BinaryOperator::Minus => a.range.plus(b.range.negated()),
                BinaryOperator::Multiply => a.range.times(b.range),
                BinaryOperator::Divide => return a.divided(&b, dialect),
                BinaryOperator::MyIntegerDivide => Number { form: Form::Decimal, range: a.range }.divided(&b, dialect)?.range,
                BinaryOperator::Modulo => a.range.modulo(b.range),
                _ => return None,
            };
            Some(Number { form, range })
        }
        Expr::Cast { expr, data_type, .. } => {
            let to = of_type(data_type, dialect);
            let cast = Number::of(to)?;
            match (of(expr), to) {
                (Some(from), Domain::Integer { .. }) if fits(&from, to) => Some(Number { form: cast.form, range: from.range.rounded(0) }),
                (Some(from), Domain::Decimal { scale, .. }) if fits(&from, to) => {
                    Some(Number { form: cast.form, range: from.range.rounded(u32::try_from(scale).unwrap_or(0)) })
                }
                (Some(from), Domain::AnyDecimal) => Some(Number { form: cast.form, range: from.range }),
                _ => Some(cast),
            }
        }
        Expr::Floor { expr, .. } | Expr::Ceil { expr, .. } => Some(of(expr)?.whole(dialect, Range::outward)),
        Expr::Case { conditions, else_result, .. } => {
            either(dialect, conditions.iter().map(|when| &when.result).chain(else_result.as_deref()), &of)
        }
        Expr::Function(function) => called(function, dialect, &of),
        _ => None,
    }
}

/// What a call gives, of the functions that are known.
fn called(function: &Function, dialect: Dialect, of: &dyn Fn(&Expr) -> Option<Number>) -> Option<Number> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments: Vec<&Expr> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let name = fold(function.name.0.last()?.as_ident()?);
    match (name.as_str(), arguments.as_slice()) {
        ("coalesce" | "ifnull", all) => either(dialect, all.iter().copied(), of),
        ("nullif", [value, _]) => of(value),
        ("if", [_, yes, no]) => either(dialect, [*yes, *no].into_iter(), of),
        ("greatest" | "least", all) => {
            let mut found = either(dialect, all.iter().copied(), of)?;
            // A column may be NULL, which PostgreSQL passes over: only a literal is always among them.
            for bound in all.iter().filter_map(|one| of(one)?.range.constant()) {
                found.range = found.range.bounded(bound, name == "least");
            }
            Some(found)
        }
        ("abs", [value]) => {
            let Number { form, range } = of(value)?;
            Some(Number { form, range: range.absolute() })
        }
        ("mod", [a, b]) => {
            let (a, b) = (of(a)?, of(b)?);
            Some(Number { form: common(dialect, a.form, b.form, true), range: a.range.modulo(b.range) })
        }
        ("round", [value]) => Some(of(value)?.whole(dialect, |range| range.rounded(0))),
        ("floor" | "ceil" | "ceiling" | "trunc", [value]) => Some(of(value)?.whole(dialect, Range::outward)),
        _ => None,
    }
}

/// One of several values; NULL is none.
fn either<'e>(dialect: Dialect, all: impl Iterator<Item = &'e Expr>, of: &dyn Fn(&Expr) -> Option<Number>) -> Option<Number> {
    let mut found: Option<Number> = None;
    for one in all.filter(|one| !matches!(one, Expr::Value(value) if value.value == Value::Null)) {
        let one = of(one)?;
        found = Some(match found {
            None => one,
            Some(so_far) => Number { form: common(dialect, so_far.form, one.form, false), range: so_far.range.or(one.range) },
        });
    }
    found
}

/// What two numbers are computed in. MySQL computes whole ones in 64 bits, and none below 0 where one of the two has no sign.
fn common(dialect: Dialect, a: Form, b: Form, computes: bool) -> Form {
    match (a, b) {
        (Form::Integer { bits, unsigned }, Form::Integer { bits: others, unsigned: other }) => {
            integer(dialect, bits.max(others), if computes { unsigned || other } else { unsigned && other })
        }
        (a, b) => a.max(b),
    }
}

fn integer(dialect: Dialect, bits: u32, unsigned: bool) -> Form {
    match dialect {
        Dialect::Postgres => Form::Integer { bits, unsigned: false },
        Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => Form::Integer { bits: 64, unsigned },
    }
}

impl Number {
    fn of(domain: Domain) -> Option<Self> {
        Some(match domain {
            Domain::Integer { low, high } => {
                let bits = [16, 32].into_iter().find(|bits| high < 1 << (bits - 1)).unwrap_or(64);
                Number { form: Form::Integer { bits, unsigned: low == 0 }, range: Range::Exact { low, high, scale: 0 } }
            }
            Domain::Decimal { precision, scale } => {
                let range = match (10_i128.checked_pow(precision), u32::try_from(scale)) {
                    (Some(limit), Ok(scale)) => Range::Exact { low: 1 - limit, high: limit - 1, scale },
                    (None, Ok(scale)) => Range::Digits { whole: precision.saturating_sub(scale), scale },
                    (_, Err(_)) => Range::Digits { whole: precision.saturating_add(scale.unsigned_abs()), scale: 0 },
                };
                Number { form: Form::Decimal, range }
            }
            Domain::AnyDecimal => Number { form: Form::Decimal, range: Range::Any },
            Domain::Float => Number { form: Form::Float, range: Range::Any },
            Domain::Text | Domain::Other => return None,
        })
    }

    fn literal(text: &str) -> Option<Self> {
        let (whole, after) = text.split_once('.').unwrap_or((text, ""));
        let value: i128 = format!("{whole}{after}").parse().ok()?;
        let scale = u32::try_from(after.len()).ok()?;
        let form = match value {
            _ if text.contains('.') || value > i128::from(i64::MAX) => Form::Decimal,
            _ => Form::Integer { bits: if value <= i128::from(i32::MAX) { 32 } else { 64 }, unsigned: false },
        };
        Some(Number { form, range: Range::Exact { low: value, high: value, scale } })
    }

    fn leaves_its_form(&self) -> bool {
        let Form::Integer { bits, unsigned } = self.form else { return false };
        let (low, high) = if unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) };
        !self.range.lies_between(low, high)
    }

    fn divided(self, divisor: &Number, dialect: Dialect) -> Option<Self> {
        let form = match common(dialect, self.form, divisor.form, true) {
            form @ Form::Integer { .. } if dialect == Dialect::Postgres => form,
            Form::Integer { .. } => Form::Decimal,
            form => form,
        };
        if form == Form::Float {
            return Some(Number { form, range: Range::Any });
        }
        let whole = matches!(divisor.form, Form::Integer { .. });
        let range = match (divisor.range.constant(), self.range) {
            (Some((by, scale)), Range::Exact { low, high, scale: own }) if by != 0 => {
                let scaled = |value: i128| value.checked_mul(10_i128.checked_pow(scale)?);
                let (low, high) = (scaled(low)?, scaled(high)?);
                let (low, high) = if by < 0 { (high.saturating_neg(), low.saturating_neg()) } else { (low, high) };
                let by = by.saturating_abs();
                // Away from 0, so that no digit that is left out matters.
                let away = |value: i128| value / by + value.signum() * i128::from(value % by != 0);
                Range::Exact { low: away(low), high: away(high), scale: own }
            }
            // A whole divisor makes nothing larger.
            (None, range) if whole => range.absolute().or(range.absolute().negated()),
            _ => return None,
        };
        Some(Number { form, range })
    }

    /// Rounded in some way to whole numbers.
    fn whole(self, dialect: Dialect, rounds: impl Fn(Range) -> Range) -> Self {
        let form = match self.form {
            Form::Integer { .. } if dialect == Dialect::Postgres => Form::Decimal,
            form => form,
        };
        Number { form, range: rounds(self.range) }
    }
}

impl Range {
    fn lies_between(self, low: i128, high: i128) -> bool {
        matches!(self, Range::Exact { low: own, high: highest, scale: 0 } if low <= own && highest <= high)
    }

    fn constant(self) -> Option<(i128, u32)> {
        match self {
            Range::Exact { low, high, scale } if low == high => Some((low, scale)),
            _ => None,
        }
    }

    /// Digits before and after the point.
    fn digits(self) -> (u32, u32) {
        match self {
            Range::Exact { low, high, scale } => {
                let unit = 10_u128.checked_pow(scale).unwrap_or(u128::MAX);
                let whole = low.unsigned_abs().max(high.unsigned_abs()) / unit;
                (whole.checked_ilog10().map_or(0, |digits| digits + 1), scale)
            }
            Range::Digits { whole, scale } => (whole, scale),
            Range::Any => (u32::MAX, u32::MAX),
        }
    }

    /// The bounds in finer units, where they can be counted.
    fn at_scale(self, wanted: u32) -> Option<Bounds> {
        let Range::Exact { low, high, scale } = self else { return None };
        let unit = 10_i128.checked_pow(wanted.checked_sub(scale)?)?;
        Some((low.checked_mul(unit)?, high.checked_mul(unit)?))
    }

    fn pair(self, other: Self) -> Option<(Bounds, Bounds, u32)> {
        let scale = self.scale()?.max(other.scale()?);
        Some((self.at_scale(scale)?, other.at_scale(scale)?, scale))
    }

    fn scale(self) -> Option<u32> {
        if let Range::Exact { scale, .. } = self { Some(scale) } else { None }
    }

    fn is_any(self, other: Self) -> bool {
        self == Range::Any || other == Range::Any
    }

    fn plus(self, other: Self) -> Self {
        let sum = self
            .pair(other)
            .and_then(|(a, b, scale)| Some(Range::Exact { low: a.0.checked_add(b.0)?, high: a.1.checked_add(b.1)?, scale }));
        let ((whole, scale), (others, other_scale)) = (self.digits(), other.digits());
        match sum {
            Some(sum) => sum,
            None if self.is_any(other) => Range::Any,
            None => Range::Digits { whole: whole.max(others).saturating_add(1), scale: scale.max(other_scale) },
        }
    }

    fn times(self, other: Self) -> Self {
        let products = |a: Bounds, b: Bounds| -> Option<[i128; 4]> {
            Some([a.0.checked_mul(b.0)?, a.0.checked_mul(b.1)?, a.1.checked_mul(b.0)?, a.1.checked_mul(b.1)?])
        };
        if let (Range::Exact { low, high, scale }, Range::Exact { low: a, high: b, scale: more }) = (self, other)
            && let Some(all) = products((low, high), (a, b))
            && let (Some(low), Some(high)) = (all.iter().min(), all.iter().max())
        {
            return Range::Exact { low: *low, high: *high, scale: scale.saturating_add(more) };
        }
        if self.is_any(other) {
            return Range::Any;
        }
        let ((whole, scale), (others, more)) = (self.digits(), other.digits());
        Range::Digits { whole: whole.saturating_add(others), scale: scale.saturating_add(more) }
    }

    fn negated(self) -> Self {
        match self {
            Range::Exact { low, high, scale } => Range::Exact { low: high.saturating_neg(), high: low.saturating_neg(), scale },
            range => range,
        }
    }

    fn absolute(self) -> Self {
        match self {
            Range::Exact { low, high, scale } => {
                let (a, b) = (low.saturating_abs(), high.saturating_abs());
                let least = if low <= 0 && high >= 0 { 0 } else { a.min(b) };
                Range::Exact { low: least, high: a.max(b), scale }
            }
            range => range,
        }
    }

    /// The rest of a division has the sign of what is divided, and is smaller than the divisor.
    fn modulo(self, by: Self) -> Self {
        match (self.pair(by), by.constant()) {
            (Some(((low, high), (divisor, _), scale)), Some(_)) if divisor != 0 => {
                let most = divisor.saturating_abs() - 1;
                Range::Exact { low: low.clamp(-most, 0), high: high.clamp(0, most), scale }
            }
            _ => self.absolute().or(self.absolute().negated()),
        }
    }

    fn or(self, other: Self) -> Self {
        if let Some((a, b, scale)) = self.pair(other) {
            return Range::Exact { low: a.0.min(b.0), high: a.1.max(b.1), scale };
        }
        if self.is_any(other) {
            return Range::Any;
        }
        let ((whole, scale), (others, more)) = (self.digits(), other.digits());
        Range::Digits { whole: whole.max(others), scale: scale.max(more) }
    }

    /// No higher than a constant, or no lower.
    fn bounded(self, (value, own): (i128, u32), is_most: bool) -> Self {
        let bound = Range::Exact { low: value, high: value, scale: own };
        match self.pair(bound) {
            Some(((low, high), (value, _), scale)) if is_most => Range::Exact { low: low.min(value), high: high.min(value), scale },
            Some(((low, high), (value, _), scale)) => Range::Exact { low: low.max(value), high: high.max(value), scale },
            None => self,
        }
    }

    /// With so many digits after the point, a half rounded away from 0.
    fn rounded(self, wanted: u32) -> Self {
        self.coarser(wanted, |value, unit| {
            let rest = (value % unit).abs();
            value / unit + value.signum() * i128::from(rest >= unit - rest)
        })
    }

    /// The whole numbers around it.
    fn outward(self) -> Self {
        self.coarser(0, |value, unit| value / unit + value.signum() * i128::from(value % unit != 0))
    }

    fn coarser(self, wanted: u32, rounds: impl Fn(i128, i128) -> i128) -> Self {
        match self {
            Range::Exact { low, high, scale } if scale > wanted => match 10_i128.checked_pow(scale - wanted) {
                Some(unit) => Range::Exact { low: rounds(low, unit), high: rounds(high, unit), scale: wanted },
                // Less than half of one.
                None => Range::Exact { low: 0, high: 0, scale: wanted },
            },
            Range::Digits { whole, scale } if scale > wanted => Range::Digits { whole: whole.saturating_add(1), scale: wanted },
            range => range,
        }
    }
}

/// What a type that is written in an expression can hold.
fn of_type(ty: &DataType, dialect: Dialect) -> Domain {
    match ty {
        DataType::SmallInt(_) | DataType::Int2(_) => Domain::signed(16),
        DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => Domain::signed(32),
        DataType::BigInt(_) | DataType::Int8(_) | DataType::Signed | DataType::SignedInteger => Domain::signed(64),
        DataType::Unsigned | DataType::UnsignedInteger => Domain::unsigned(64),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => match info {
            ExactNumberInfo::None if dialect == Dialect::Postgres => Domain::AnyDecimal,
            ExactNumberInfo::None => Domain::Decimal { precision: 10, scale: 0 },
            ExactNumberInfo::Precision(precision) => decimal(*precision, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => decimal(*precision, *scale),
        },
        DataType::Real | DataType::Float4 | DataType::Float8 | DataType::Float(_) | DataType::Double(_) | DataType::DoublePrecision => {
            Domain::Float
        }
        _ => Domain::Other,
    }
}

fn decimal(precision: u64, scale: i64) -> Domain {
    match (u32::try_from(precision), i32::try_from(scale)) {
        (Ok(precision), Ok(scale)) => Domain::Decimal { precision, scale },
        _ => Domain::Other,
    }
}
