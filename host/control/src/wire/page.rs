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

    /// A page of a list that is at hand as a whole.
    pub fn part(items: Vec<T>, page: &Page, key: impl Fn(&T) -> &str) -> Result<List<T>, Problem> {
        let from = match &page.after {
            None => 0,
            Some(after) => match items.iter().position(|item| key(item) == after) {
                Some(last) => last + 1,
                None => {
                    let message = format!("after: {after} is not there, or not any more");
                    return Err(Problem::new(Code::InvalidParameter, message));
                }
            },
        };
        let limit = page.limit as usize;
        let next = items.get(from..from + limit + 1).map(|page| key(&page[limit - 1]).to_owned());
        Ok(List { items: items.into_iter().skip(from).take(limit).collect(), next })
    }
}
