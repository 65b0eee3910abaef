-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
select 'users: nickname' as what, count(*) as rows
from public.users
where (nickname is null and ('PROMPT_USER')::varchar is not null)
order by what;
