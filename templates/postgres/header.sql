-- {{ title }}
--
--   from      {{ old }}
--   to        {{ new }}
--   access    {{ access }}
--   revisions {{ revisions }}
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f {{ file }}
-- Before it:    {{ before }}
-- After it:     {{ after }}
--
-- It can be run again after a failure, a kill or a finish. No statement waits longer than the lock timeout for a lock
-- that others would queue behind; when one gives up, run the script again.

set client_min_messages = warning;
set lock_timeout = '300ms';
set statement_timeout = 0;
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = {{ schema }};

-- An autovacuum gives way to who has waited for deadlock_timeout: where we may, we make that shorter than our patience.
do $crossfade$
begin
  perform set_config('deadlock_timeout', '150ms', false);
exception when insufficient_privilege then
  null;  -- a statement that meets an autovacuum gives up, then: run the script again behind it
end
$crossfade$;
