create or replace function {{ function }}() returns trigger
language plpgsql{% if search_path %} set search_path = {{ search_path }}, pg_temp{% endif %} as $crossfade$
{%- if variables %}
#variable_conflict use_column
declare
{%- for variable in variables %}
  {{ variable }};
{%- endfor %}
{%- endif %}
begin
  if tg_op = 'INSERT' then
{%- for lens in lenses %}
    -- {{ lens.title }}
{%- if lens.insert_new %}
    if {{ lens.is_new }} then
{%- for line in lens.insert_new %}
      {{ line }}
{%- endfor %}
    else
{%- if lens.insert_old %}
{%- for line in lens.insert_old %}
      {{ line }}
{%- endfor %}
{%- else %}
      null;  -- the old version has written it itself
{%- endif %}
    end if;
{%- elif lens.insert_old %}
    if not ({{ lens.is_new }}) then
{%- for line in lens.insert_old %}
      {{ line }}
{%- endfor %}
    end if;
{%- endif %}
{%- endfor %}
{%- for fill in fills %}
    if {{ fill.is_null }} then
      {{ fill.set }}
    end if;
{%- endfor %}
{%- if marker %}
    new.crossfade_writer := null;  -- it has said who wrote; NULL takes no room
{%- endif %}
  else
{%- for lens in lenses %}
{%- if lens.update %}
    -- {{ lens.title }}
{%- for line in lens.update %}
    {{ line }}
{%- endfor %}
{%- endif %}
{%- endfor %}
{%- for fill in fills %}
    if {{ fill.is_null }} then
      {{ fill.set }}
    end if;
{%- endfor %}
{%- if not updates %}
    null;
{%- endif %}
  end if;
  return new;
end
$crossfade$;
create or replace trigger {{ insert_trigger }} before insert on {{ table }}
  for each row execute function {{ function }}();
{%- if update_when %}
create or replace trigger {{ update_trigger }} before update on {{ table }}
  for each row when ({{ update_when }})
  execute function {{ function }}();
{%- endif %}
