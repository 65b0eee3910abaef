-- verify newton -> ocata
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;
select 'images: is_public <-> visibility' as what, count(*) as rows
from public.images
where case when not (is_public is distinct from (visibility = 'public')::boolean) then false when not (visibility is distinct from (case when is_public then 'public' else 'shared' end)::public.visibility) then false else visibility is distinct from (case when images.is_public then 'public'
     when exists (select 1 from public.image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end)::public.visibility end
order by what;
