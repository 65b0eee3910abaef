-- {{ title }}
--
--   from      {{ old }}
--   to        {{ new }}
--   access    {{ access }}
--   revisions {{ revisions }}
--
-- Run it with:  {{ client }} {% if not database %}DATABASE {% endif %}< {{ file }}
-- Before it:    {{ before }}
-- After it:     {{ after }}
--
-- It can be run again after a failure, a kill or a finish: each statement finds out whether it is still to be done.
-- METADATA EXCLUSIVE is what every ALTER TABLE takes for an instant, at its beginning and at its end. No statement waits
-- longer than a second for it, since others queue behind; when one gives up, run the script again.
{%- if triggers %}
-- It makes triggers. With the binary log on, the server lets an account without SUPER do so only where
-- log_bin_trust_function_creators = 1: the script tries that before it changes anything, and stops with error 1419 if not.
{%- endif %}
{% if database %}
use {{ database }};
{%- endif %}
set names utf8mb4;
set session autocommit = 1,
  sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  lock_wait_timeout = 1,
  innodb_lock_wait_timeout = 1,
  foreign_key_checks = 1,
  unique_checks = 1;
set session transaction isolation level read committed;

-- What a script that was stopped may have left.
drop procedure if exists crossfade_step;
drop procedure if exists crossfade_check;
drop procedure if exists crossfade_backfill;
drop procedure if exists crossfade_grants;
{%- if triggers %}
drop function if exists crossfade_may_make_triggers;
{%- endif %}
-- What a gate has to say can't stand in this column: the script stops with it, and no more than this session is gone.
drop temporary table if exists crossfade_gate;
create temporary table crossfade_gate (`nothing was changed` integer not null);
