{%- if contract %}
-- From here on there is no way back: abort.sql refuses.
insert ignore into crossfade_journal (`release`, step) values ({{ release }}, 'contract');

{% endif -%}
-- Runs a statement if it is still to be done; the last statement of this script takes it away.
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
delimiter ;
