-- verify ocata -> pike
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;
select 'users: full_name <-> first_name, last_name' as what, count(*) as rows
from public.users
where case when not (full_name is distinct from (case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end)::text) then false else first_name is distinct from (split_part(full_name, ' ', 1))::text or last_name is distinct from (substr(full_name, nullif(strpos(full_name, ' '), 0) + 1))::text end
order by what;
