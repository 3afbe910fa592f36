#!/usr/bin/env bash
# Run once, on an empty volume, by the image's entrypoint: each service's own database with its two roles. The owner
# migrates, the app runs; nobody else may connect. What the app may do with a table is said by the migrations.
set -euo pipefail

make_database() {
    local name=$1 owner_password=$2 app_password=$3
    psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres \
        -v name="$name" -v owner="${name}_owner" -v app="${name}_app" \
        -v owner_password="$owner_password" -v app_password="$app_password" <<'END'
CREATE ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
CREATE ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'app_password';
CREATE DATABASE :"name" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"owner", :"app";
\connect :"name"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"app";
GRANT ALL ON SCHEMA public TO :"owner";
END
}

psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres \
    -c 'REVOKE ALL ON DATABASE postgres FROM PUBLIC' -c 'REVOKE ALL ON DATABASE template1 FROM PUBLIC'
make_database gateway_ingest "$GATEWAY_INGEST_OWNER_PASSWORD" "$GATEWAY_INGEST_APP_PASSWORD"
make_database ledger "$LEDGER_OWNER_PASSWORD" "$LEDGER_APP_PASSWORD"
make_database deployments "$DEPLOYMENTS_OWNER_PASSWORD" "$DEPLOYMENTS_APP_PASSWORD"
make_database payments_api "$PAYMENTS_API_OWNER_PASSWORD" "$PAYMENTS_API_APP_PASSWORD"
