{%- if contract %}
-- From here on there is no way back: abort.sql refuses.
insert ignore into crossfade_journal (`release`, step) values ({{ release }}, 'contract');

{% elif abort %}
-- From here on nothing counts as done any more: a phase that is run after half an abort does all of it again.
start transaction;
delete from crossfade_checkpoint where `release` = {{ release }};
delete from crossfade_failing_row where `release` = {{ release }};
update crossfade_revision set phase = 'begun', `expand` = null, migrate = null where `release` = {{ release }} and phase <> 'aborted';
commit;

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
