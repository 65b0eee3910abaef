delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
{%- if needed %}
  if {{ needed }} then
{%- else %}
  begin
{%- endif %}
{%- if group %}
    select count(*), min(k) into found, sample
    from (select concat_ws(', ', {{ group }}) as k from {{ table }}{% if condition %} where {{ condition }}{% endif %} group by {{ group }} having count(*) > 1) as repeated;
{%- else %}
    select count(*) into found from {{ table }} where {{ condition }};
{%- endif %}
    if found > 0 then
{%- if not group %}
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', {{ key }}) as k from {{ table }} where {{ condition }} limit 5) as samples;
{%- endif %}
      set message = concat({{ message }}, ': ', found, {{ what }}, sample, ')');
{%- if refuse %}
      select message as `stops this script`, {{ hint }} as `what to do`;
      set @crossfade_found = message;
{%- else %}
      select message as warning, {{ hint }} as `what follows`;
{%- endif %}
    end if;
{%- if needed %}
  end if;
{%- else %}
  end;
{%- endif %}
end //
delimiter ;
{% if refuse %}set @crossfade_found = null;
{% endif -%}
call crossfade_check();
drop procedure crossfade_check;
{%- if refuse %}
insert into crossfade_gate select @crossfade_found from dual where @crossfade_found is not null;
{%- endif %}
