//! A second password of a database account, in each server's words. When one is kept and when it goes, the resources say.

use super::dialect::{Dialect, account, literal};

/// Where each server keeps an account's second password, as a condition over its row and a table to look in.
pub(super) fn has_second(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mariadb => "FROM mysql.global_priv WHERE JSON_LENGTH(JSON_QUERY(priv,'$.auth_or'))>1",
        Dialect::Mysql => "FROM mysql.user WHERE JSON_EXTRACT(user_attributes,'$.additional_password') IS NOT NULL",
    }
}

/// SQL that gives an account another password. With `keep`, the one it had opens it as well; one that it has besides
/// already stays in either case. `new` is an SQL literal.
pub(super) fn change(dialect: Dialect, name: &str, new: &str, keep: bool) -> String {
    let (account, user) = (account(name), literal(name));
    match dialect {
        // MariaDB has no second password, and several ways to be identified instead, the first of them tried first. It would
        // write the password itself into its binary log; of this, it writes the hash. What is no password is not kept.
        Dialect::Mariadb => {
            let head = literal(&format!("ALTER USER {account} IDENTIFIED VIA mysql_native_password USING "));
            let old = if keep {
                "IF(JSON_VALUE(priv,'$.plugin')='mysql_native_password',JSON_VALUE(priv,'$.authentication_string'),'')"
            } else {
                "IF(JSON_VALUE(priv,'$.auth_or[1].plugin')='mysql_native_password',JSON_VALUE(priv,'$.auth_or[1].authentication_string'),'')"
            };
            format!(
                "SET @old=(SELECT {old} FROM mysql.global_priv WHERE user={user} AND host='%');\n\
                 EXECUTE IMMEDIATE CONCAT({head}, QUOTE(PASSWORD({new})), IF(COALESCE(@old,'')='','',CONCAT(' OR mysql_native_password USING ',QUOTE(@old))), ' REQUIRE SSL');\n"
            )
        }
        Dialect::Mysql => {
            let retain = if keep { " RETAIN CURRENT PASSWORD" } else { "" };
            format!("ALTER USER {account} IDENTIFIED BY {new}{retain} REQUIRE SSL;\n")
        }
    }
}

/// SQL that leaves an account its newest password alone. Said again, it changes nothing.
pub(super) fn discard(dialect: Dialect, name: &str) -> String {
    let (account, user) = (account(name), literal(name));
    match dialect {
        Dialect::Mariadb => {
            let head = literal(&format!("ALTER USER {account} IDENTIFIED VIA mysql_native_password USING "));
            format!(
                "SET @now=(SELECT JSON_VALUE(priv,'$.authentication_string') FROM mysql.global_priv WHERE user={user} AND host='%');\n\
                 EXECUTE IMMEDIATE CONCAT({head}, QUOTE(@now), ' REQUIRE SSL');\n"
            )
        }
        Dialect::Mysql => format!("ALTER USER {account} DISCARD OLD PASSWORD;\n"),
    }
}
