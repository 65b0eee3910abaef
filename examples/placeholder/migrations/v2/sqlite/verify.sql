-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'users: nickname' as what, count(*) as rows
from users
where (nickname is null and ('PROMPT_USER') is not null)
order by what;
