//! MariaDB 10.11 to 11.8. What stands here was seen on both.

use super::MysqlLike;
use crate::sql::Dialect;

/// MariaDB.
pub const MARIADB: MysqlLike = MysqlLike {
    dialect: Dialect::Mariadb,
    product: "MariaDB",
    client: "mariadb",
    // What prepared statements take.
    oldest: (10, 6, 0),
    // Knowledge base, "Invisible Columns": by MODIFY only.
    sets_visible: false,
    expression_default_copies: false,
    metadata: "algorithm=instant",
    index: "algorithm=nocopy, lock=none",
    // From 11.2 on the default lets clients write.
    copy: "algorithm=copy, lock=default",
};
