-- {{ title }}
--
--   from      {{ old }}
--   to        {{ new }}
--   access    {{ access }}
--   revisions {{ revisions }}
--
-- Run it with:  sqlite3 -bail app.db < {{ file }}
-- Before it:    {{ before }}
-- After it:     {{ after }}
--
-- It is one transaction: all of it happens or nothing. After a failure or a kill run it again; a second run refuses, says
-- what comes next, and changes nothing. {{ waits }}
-- A driver runs it as it is, on a connection of its own: after a failure roll back, and close the connection in any case.

pragma foreign_keys = off;  -- while tables are made anew nothing may cascade; it has no effect inside of a transaction
begin immediate;
