//! Lists come in pages: `limit` and `after` in, `items` and `next` out.

use crate::problem::{Code, Problem};
use crate::store::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of a page, where nothing is said.
const LIMIT_DEFAULT: u32 = 100;
/// Rows of a page at most.
const LIMIT_MAX: u32 = 1000;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Rows at most; 100 where it is left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl PageQuery {
    /// Checked.
    pub fn page(self) -> Result<Page, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        match (1..=LIMIT_MAX).contains(&limit) {
            true => Ok(Page { after: self.after, limit }),
            false => Err(Problem::new(Code::InvalidParameter, format!("limit: expected 1 to {LIMIT_MAX}"))),
        }
    }
}

/// A part of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where the next part begins; none where this is the last.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page of rows, as they are shown.
    pub fn of<Row>((rows, next): (Vec<Row>, Option<String>), show: impl Fn(Row) -> T) -> List<T> {
        List { items: rows.into_iter().map(show).collect(), next }
    }

    /// All of a list.
    pub fn whole(items: Vec<T>) -> List<T> {
        List { items, next: None }
    }
}
