do $crossfade$
begin
  if {{ needed }} then
    alter table {{ table }} add constraint {{ name }} {{ definition }} not valid;
  end if;
end
$crossfade$;
