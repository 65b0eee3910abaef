//! MySQL 8.4 to 9.7. What stands here was seen on 9.7.

use super::MysqlLike;
use crate::sql::Dialect;

/// MySQL.
pub const MYSQL: MysqlLike = MysqlLike {
    dialect: Dialect::Mysql,
    product: "MySQL",
    client: "mysql",
    // INSTANT for a column anywhere and for one that goes; CREATE TRIGGER IF NOT EXISTS.
    oldest: (8, 0, 29),
    // Manual, "Invisible Columns": ALTER COLUMN … SET VISIBLE.
    sets_visible: true,
    expression_default_copies: true,
    metadata: "algorithm=inplace, lock=none",
    index: "algorithm=inplace, lock=none",
    copy: "algorithm=copy, lock=shared",
};
