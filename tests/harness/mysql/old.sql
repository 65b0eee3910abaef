create table people (id int primary key, name varchar(40));
