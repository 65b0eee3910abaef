-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = {{ release }} and step = {{ step }} and finished_at is not null) then
    return;
  end if;
{{ body }}
  insert into crossfade.journal (release, step, finished_at) values ({{ release }}, {{ step }}, now());
end
$crossfade$;
