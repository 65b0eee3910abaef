{%- if said_of_source or said_of_target -%}
--
-- The functions below run with the rights of their owner, and look for names in pg_catalog only. What the transition says
-- is tried there now, on no row at all, and not by the first client that writes.
set local search_path = pg_catalog, pg_temp;
do $crossfade$
begin
{%- if said_of_source %}
  perform {{ said_of_source | join(",
          ") }}
  from {{ source }} as own where false;
{%- endif %}
{%- if said_of_target %}
  perform {{ said_of_target | join(",
          ") }}
  from {{ target }} as own where false;
{%- endif %}
exception when undefined_function or undefined_object or undefined_table or invalid_schema_name then
  raise exception using
    errcode = sqlstate,
    message = {{ names_message }} || sqlerrm,
    hint = 'Write the schema in front of the name: public.f(x), x operator(public.+) y, x::public.t. Nobody noticed; abort.sql takes back what is there.';
end
$crossfade$;
{% endif -%}
create or replace function {{ to_target }}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $crossfade$
#variable_conflict use_column
declare
  here record;   -- the row of {{ source_name }} as it is now
  there record;  -- its image in {{ target_name }}
  moved boolean;
{%- for lens in up.lenses %}{% if lens.moves %}
  said_{{ loop.index }} boolean;  -- {{ lens.names }}
{%- endif %}{% endfor %}
begin
  if tg_op = 'TRUNCATE' then
    delete from {{ target }} as image
    where not exists (select from {{ source }} as own where {{ up.image_of_own }});
    return null;
  end if;
  moved := tg_op = 'UPDATE' and ({{ up.key_changed }});
  if tg_op <> 'DELETE' then
    select own.* into here from {{ source }} as own where {{ up.is_new }};
    if found{% if has_predicate %} and ({{ up.here_meant }}){% endif %} then
{%- for lens in up.lenses %}{% if lens.moves %}
      said_{{ loop.index }} := {% if lens.derived %}tg_op = 'UPDATE'{% else %}tg_op = 'INSERT' or moved or {{ lens.said }}{% endif %};
{%- endif %}{% endfor %}
      if moved then
        -- another key: what only the image says goes along
        update {{ target }} as image
        set {{ up.moved | join(",\n            ") }}
        where {{ up.image_of_old }}
          and not exists (select from {{ target }} as other where {{ up.other_image_of_here }})
          and not exists (select from {{ source }} as own where {{ up.is_old }});
      end if;
      select image.* into there from {{ target }} as image where {{ up.image_of_here }};
      if not found then
{%- if stays %}
        if {{ up.here_says }} then
          insert into {{ target }} ({{ up.columns }})
          values ({{ up.values }})
          on conflict ({{ up.key }}) do {% if up.updated %}update set {{ up.updated | join(", ") }}{% else %}nothing{% endif %};
        end if;
{%- else %}
        insert into {{ target }} ({{ up.columns }})
        values ({{ up.values }})
        on conflict ({{ up.key }}) do {% if up.updated %}update set {{ up.updated | join(", ") }}{% else %}nothing{% endif %};
{%- endif %}
      else
{%- if not up.carries %}
        null;
{%- else %}
{%- for lens in up.lenses %}{% if lens.moves %}
        said_{{ loop.index }} := said_{{ loop.index }} and ({{ lens.moves }});
{%- endif %}{% endfor %}
        if {{ up.any_said }} then
          -- in one statement: no row is ever seen with one value and without the other
          update {{ target }} as image
          set {{ up.sets | join(",\n              ") }}
          where {{ up.image_of_here }} returning image.* into there;
{%- if up.comes_back %}
          if found then
            -- what a trigger of {{ target_name }} made of it comes back
{%- for lens in up.lenses %}{% if lens.moves and lens.still and lens.back %}
            if said_{{ loop.index }} and ({{ lens.moves }}) then
              update {{ source }} as own set {{ lens.back | join(", ") }} where {{ up.own_is_here }} and ({{ lens.still }});
            end if;
{%- endif %}{% endfor %}
          end if;
{%- endif %}
        end if;
{%- endif %}
      end if;
{%- if has_predicate %}
    elsif found then
      -- not meant (any more): an image that says something else goes
      delete from {{ target }} as image where {{ up.image_of_here }} and ({{ up.here_unlike_image }});
{%- endif %}
    end if;
  end if;
  if tg_op = 'DELETE' or moved then
    delete from {{ target }} as image
    where {{ up.image_of_old }}
      and not exists (select from {{ source }} as own where {{ up.is_old }}{% if has_predicate %} and ({{ up.own_meant }}){% endif %});
  end if;
  return null;
end
$crossfade$;
create or replace function {{ to_source }}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $crossfade$
#variable_conflict use_column
declare
  here record;   -- the row of {{ target_name }} as it is now
  there record;  -- the row of {{ source_name }} that it is the image of
  moved boolean;
{%- if down.fresh %}
  fresh boolean;  -- it said nothing that {{ target_name }} takes
{%- endif %}
{%- for lens in down.lenses %}{% if lens.moves %}
  said_{{ loop.index }} boolean;  -- {{ lens.names }}
{%- endif %}{% endfor %}
begin
  if tg_op = 'TRUNCATE' then
{%- if stays %}
    update {{ source }} as image
    set {{ down.blanks | join(", ") }}
    where ({{ down.image_says }}){% if has_predicate %} and ({{ down.image_meant }}){% endif %}
      and not exists (select from {{ target }} as own where {{ down.image_of_own }});
{%- else %}
    delete from {{ source }} as image
    where {% if has_predicate %}({{ down.image_meant }}) and {% endif %}not exists (select from {{ target }} as own where {{ down.image_of_own }});
{%- endif %}
    return null;
  end if;
  moved := tg_op = 'UPDATE' and ({{ down.key_changed }});
  if tg_op <> 'DELETE' then
    select own.* into here from {{ target }} as own where {{ down.is_new }};
    if found then
{%- for lens in down.lenses %}{% if lens.moves %}
      said_{{ loop.index }} := {% if lens.on_insert %}tg_op = 'INSERT' or moved or {{ lens.said }}{% else %}tg_op = 'UPDATE' and ({{ lens.said }}){% endif %};
{%- endif %}{% endfor %}
{%- if not stays %}
      if moved then
        -- another key: what only the old version knows goes along
        update {{ source }} as image
        set {{ down.moved | join(",\n            ") }}
        where {{ down.image_of_old }}{% if has_predicate %} and ({{ down.image_meant }}){% endif %}
          and not exists (select from {{ source }} as other where {{ down.other_image_of_here }})
          and not exists (select from {{ target }} as own where {{ down.is_old }});
      end if;
{%- endif %}
      select image.* into there from {{ source }} as image where {{ down.image_of_here }};
      if not found then
{%- if stays %}
        raise exception using message = {{ down.missing_message }}, errcode = 'foreign_key_violation';
{%- else %}
        insert into {{ source }} ({{ down.columns }})
        values ({{ down.values }});
{%- endif %}
{%- if has_predicate and not stays %}
      elsif ({{ down.there_meant }}) is not true then
        raise exception using message = {{ down.key_message }}, errcode = 'unique_violation';
{%- endif %}
      else
{%- if not down.carries %}
        null;
{%- else %}
{%- if down.fresh %}
        fresh := {{ down.fresh }};
{%- endif %}
{%- for lens in down.lenses %}{% if lens.moves %}
        said_{{ loop.index }} := said_{{ loop.index }} and ({{ lens.moves }});
{%- endif %}{% endfor %}
        if {{ down.any_said }} then
          -- in one statement: no row is ever seen with one value and without the other
          update {{ source }} as image
          set {{ down.sets | join(",\n              ") }}
          where {{ down.image_of_here }} returning image.* into there;
{%- if down.comes_back %}
          if found then
            -- what a trigger of {{ source_name }} made of it comes back
{%- for lens in down.lenses %}{% if lens.moves and lens.still and lens.back %}
            if said_{{ loop.index }} and ({{ lens.moves }}) then
              update {{ target }} as own set {{ lens.back | join(", ") }} where {{ down.own_is_here }} and ({{ lens.still }});
            end if;
{%- endif %}{% endfor %}
          end if;
{%- endif %}
        end if;
{%- endif %}
      end if;
{%- if has_predicate and not stays %}
      if not exists (select from {{ source }} as image where {{ down.image_of_here }} and ({{ down.image_meant }})) then
        raise exception using message = {{ down.outside_message }}, errcode = 'check_violation';
      end if;
{%- endif %}
    end if;
  end if;
  if tg_op = 'DELETE' or moved then
{%- if stays %}
    update {{ source }} as image
    set {{ down.blanks | join(", ") }}
    where {{ down.image_of_old }} and ({{ down.image_says }}){% if has_predicate %} and ({{ down.image_meant }}){% endif %}
      and not exists (select from {{ target }} as own where {{ down.is_old }});
{%- else %}
    delete from {{ source }} as image
    where {{ down.image_of_old }}{% if has_predicate %} and ({{ down.image_meant }}){% endif %}
      and not exists (select from {{ target }} as own where {{ down.is_old }});
{%- endif %}
  end if;
  return null;
end
$crossfade$;
{%- if guarded %}
create or replace function {{ guard }}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $crossfade$
#variable_conflict use_column
begin
  if tg_op = 'UPDATE' and not ({{ down.key_changed }}) then
    return new;
  end if;
  -- A row of {{ source_name }} that is not copied yet has this key: it is copied now, so that the key is taken, as it will be.
  if not exists (select from crossfade.checkpoint
                 where release = {{ release }} and backfill = {{ copy }} and part = 0 and finished_at is not null)
     and not exists (select from {{ target }} as image where {{ down.image_is_new }})
  then
    insert into {{ target }} ({{ up.columns }})
    select {{ copied }}
    from {{ source }} as own
    where {{ guarded }}
    for share
    on conflict ({{ up.key }}) do nothing;
  end if;
  return new;
end
$crossfade$;
-- Before the user's own triggers: what a copy brings still stands there as it was brought, and needs no other copy.
create or replace trigger {{ guard_trigger }} before insert or update of {{ target_key }} on {{ target }}
  for each row execute function {{ guard }}();
{%- endif %}
-- Nobody else may hang them on a table of his own.
revoke all on function {{ to_target }}(), {{ to_source }}(){% if guarded %}, {{ guard }}(){% endif %} from public;
{%- for side in [{"table": target, "function": to_source, "written": down.written}, {"table": source, "function": to_target, "written": up.written}] %}
create or replace trigger {{ insert_trigger }} after insert on {{ side.table }}
  for each row execute function {{ side.function }}();
create or replace trigger {{ update_trigger }} after update on {{ side.table }}
  for each row when ({{ side.written }})
  execute function {{ side.function }}();
create or replace trigger {{ delete_trigger }} after delete on {{ side.table }}
  for each row execute function {{ side.function }}();
create or replace trigger {{ truncate_trigger }} after truncate on {{ side.table }}
  for each statement execute function {{ side.function }}();
{%- endfor %}
