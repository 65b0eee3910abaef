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
  innodb_lock_wait_timeout = 2,
  foreign_key_checks = 1,
  unique_checks = 1;
set session transaction isolation level read committed;

-- What this script is written with; its last statements take it away. (What a script that stopped has left, the next one takes.)
drop procedure if exists crossfade_step;
drop procedure if exists crossfade_refuse;
drop procedure if exists crossfade_check;
drop procedure if exists crossfade_backfill;
drop procedure if exists crossfade_grants;
delimiter //
create procedure crossfade_step(in needed boolean, in what longtext)
begin
  if needed then
    set @crossfade_statement = what;
    prepare crossfade_statement from @crossfade_statement;
    execute crossfade_statement;
    deallocate prepare crossfade_statement;
  end if;
end //
create procedure crossfade_refuse(in refused boolean, in why text)
begin
  if refused then
    set why = left(why, 128);
    signal sqlstate '45000' set message_text = why;
  end if;
end //
delimiter ;
