-- verify ocata -> pike
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set names utf8mb4;
select 'users: full_name <-> first_name, last_name' as `what`, count(*) as `rows`
from users
where not (binary convert(full_name using utf8mb4) <=> binary convert((case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end) using utf8mb4)) and (not (binary convert(first_name using utf8mb4) <=> binary convert((substring_index(full_name, ' ', 1)) using utf8mb4)) or not (binary convert(last_name using utf8mb4) <=> binary convert((substr(full_name, nullif(locate(' ', full_name), 0) + 1)) using utf8mb4)))
order by `what`;
