CREATE TABLE public.accounts (
    id bigint NOT NULL,
    email character varying(320) NOT NULL,
    google_sub character varying(255),
    erpnext_user character varying(140),
    source character varying(20) NOT NULL,
    state character varying(20) NOT NULL,
    cause character varying(80) NOT NULL,
    since timestamp with time zone NOT NULL,
    granted_scopes text NOT NULL,
    refresh_token bytea,
    access_token bytea,
    access_expires_at timestamp with time zone,
    refresh_claimed_until double precision NOT NULL,
    refresh_retry_at timestamp with time zone,
    default_event_type character varying(10),
    on_disconnect character varying(10) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    granted_at timestamp with time zone
);
CREATE SEQUENCE public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.accounts_id_seq OWNED BY public.accounts.id;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.calendars (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    google_id character varying(1024) NOT NULL,
    sync_token text,
    query_fingerprint character varying(64) NOT NULL,
    time_zone character varying(64) NOT NULL,
    window_start timestamp with time zone,
    window_end timestamp with time zone,
    policy_fingerprint character varying(64) NOT NULL,
    dirty_seq integer NOT NULL,
    synced_seq integer NOT NULL,
    dirty_at timestamp with time zone,
    dirty_reason character varying(20) NOT NULL,
    rung_at timestamp with time zone,
    snapshot_seq integer NOT NULL,
    force_sweep boolean NOT NULL,
    lease_owner character varying(80),
    lease_until double precision NOT NULL,
    fence integer NOT NULL,
    state character varying(20) NOT NULL,
    cause character varying(80) NOT NULL,
    message text NOT NULL,
    since timestamp with time zone NOT NULL,
    failures integer NOT NULL,
    retry_at timestamp with time zone,
    last_success_at timestamp with time zone,
    last_snapshot_at timestamp with time zone,
    next_poll_at timestamp with time zone,
    next_reconcile_at timestamp with time zone,
    push_supported boolean,
    watch_retry_at timestamp with time zone,
    watch_failures integer NOT NULL,
    removed boolean NOT NULL
);
CREATE SEQUENCE public.calendars_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.calendars_id_seq OWNED BY public.calendars.id;
CREATE TABLE public.channels (
    id character varying(64) NOT NULL,
    calendar_id bigint NOT NULL,
    resource_id character varying(255),
    token_hash character varying(64) NOT NULL,
    state character varying(12) NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    opened_at timestamp with time zone,
    expires_at timestamp with time zone,
    renew_at timestamp with time zone,
    retired_at timestamp with time zone,
    closed_at timestamp with time zone,
    last_message_at timestamp with time zone,
    last_message_number bigint,
    error text NOT NULL
);
CREATE TABLE public.counters (
    name character varying(60) NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE public.facts (
    name character varying(60) NOT NULL,
    value text NOT NULL,
    learned_at timestamp with time zone NOT NULL
);
CREATE TABLE public.invitations (
    id character varying(32) NOT NULL,
    account_id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
CREATE TABLE public.leases (
    name character varying(40) NOT NULL,
    owner character varying(80) NOT NULL,
    until double precision NOT NULL
);
CREATE TABLE public.notices (
    id bigint NOT NULL,
    key character varying(500) NOT NULL,
    account_id bigint,
    group_id bigint,
    is_group boolean NOT NULL,
    who text NOT NULL,
    state character varying(40) NOT NULL,
    cause character varying(80) NOT NULL,
    message text NOT NULL,
    step text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    mailed integer NOT NULL,
    posted integer NOT NULL,
    asked integer NOT NULL,
    todo character varying(140),
    mended_at timestamp with time zone,
    closed_at timestamp with time zone,
    failing_since timestamp with time zone,
    failing_by character varying(10) NOT NULL,
    error text NOT NULL
);
CREATE SEQUENCE public.notices_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.notices_id_seq OWNED BY public.notices.id;
CREATE TABLE public.oauth_flows (
    state_hash character varying(64) NOT NULL,
    browser_hash character varying(64) NOT NULL,
    purpose character varying(10) NOT NULL,
    invitation_id character varying(32),
    verifier bytea NOT NULL,
    nonce character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.quarantine (
    id bigint NOT NULL,
    calendar_id bigint NOT NULL,
    sync_key character varying(64) NOT NULL,
    event_id character varying(1024) NOT NULL,
    message text NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL
);
CREATE SEQUENCE public.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.quarantine_id_seq OWNED BY public.quarantine.id;
CREATE TABLE public.runs (
    id bigint NOT NULL,
    calendar_id bigint NOT NULL,
    kind character varying(10) NOT NULL,
    reason character varying(20) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seconds double precision NOT NULL,
    pages integer NOT NULL,
    items integer NOT NULL,
    created integer NOT NULL,
    updated integer NOT NULL,
    cancelled integer NOT NULL,
    unchanged integer NOT NULL,
    skipped integer NOT NULL,
    refused integer NOT NULL,
    google_calls integer NOT NULL,
    erpnext_calls integer NOT NULL,
    lag_received double precision,
    lag_google double precision,
    error text NOT NULL
);
CREATE SEQUENCE public.runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.runs_id_seq OWNED BY public.runs.id;
CREATE TABLE public.ticks (
    name character varying(40) NOT NULL,
    last_run_at timestamp with time zone NOT NULL,
    last_ok_at timestamp with time zone,
    error text NOT NULL
);
CREATE TABLE public.usage (
    bucket character varying(80) NOT NULL,
    calls integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.accounts ALTER COLUMN id SET DEFAULT nextval('public.accounts_id_seq'::regclass);
ALTER TABLE ONLY public.calendars ALTER COLUMN id SET DEFAULT nextval('public.calendars_id_seq'::regclass);
ALTER TABLE ONLY public.notices ALTER COLUMN id SET DEFAULT nextval('public.notices_id_seq'::regclass);
ALTER TABLE ONLY public.quarantine ALTER COLUMN id SET DEFAULT nextval('public.quarantine_id_seq'::regclass);
ALTER TABLE ONLY public.runs ALTER COLUMN id SET DEFAULT nextval('public.runs_id_seq'::regclass);
INSERT INTO public.accounts VALUES (1, 'ann@scoopjoy.test', NULL, 'ann@scoopjoy.test', 'service-account', 'active', '', '2026-11-30 11:34:09.930682+00', '', NULL, '\x763130623863616632344a83dc87061f4ad564ab7629887995c74de3f29a00a7dd018025af8f7b35f7c14fe429f083113bdef236bf1d22ddedf36eab96bf1bad75d21767c045998f0f0edc14382f5bf0b4347b9170cde98996194670b2826b2d2be7e3317ce96bf426c5cf5d281fa421a2d8b3dc82b609f51771d2b974af5c12f20bd7a465af1b9630c5b4a3a0014cb8795f61192d4cd98e0843f48a5b37be35e99181c242ec7574458cef', '2026-11-30 12:34:08.643761+00', 0, NULL, NULL, '', '2026-11-30 11:34:09.6441+00', NULL);
INSERT INTO public.accounts VALUES (2, 'bob@scoopjoy.test', '106825265640502154951', 'bob@scoopjoy.test', 'oauth', 'active', '', '2026-11-30 11:34:12.257289+00', '["email", "https://www.googleapis.com/auth/calendar.events.readonly", "openid"]', '\x7631306238636166323401874fc53e51d76e33277ce6a6359da8193211b1ce4f6c24366e2160576558cd050b429e17d047c3a910c753418aa82f43784188e329083cb498227d0cdbbc65b80e1ce607718ae291c621507146c4b1be8e0f4be02e32d172eaab529ff6c0bbf59c1659d80cb8004f4c0b70b12a127973f5ab7d0821', '\x76313062386361663234d0f9374962d310523a130c3a61612e8956f1c9effd94ae601a3b33532bf6530c7f28a5d1a9a0ffc784a793edf9aba40f1a2e4ef1703483178ee776e6eb36cfaa214488f819f80ff36dcf75c640611f73afcb8ec38a6e286ce734c04c811e501203b60b73b157ad38384572a863c247cb74f7fd1edd83c2251f4a7eea2ffc9ea8dbba8c10d83891ae724febee4fa80d12f78eca297f05f5d678197ae814dbccdc96', '2026-11-30 12:34:12.25728+00', 0, NULL, NULL, '', '2026-11-30 11:34:12.238993+00', '2026-11-30 11:34:12.257289+00');
INSERT INTO public.accounts VALUES (3, 'carl@scoopjoy.test', NULL, NULL, 'oauth', 'invited', '', '2026-11-30 11:34:14.925424+00', '', NULL, NULL, NULL, 0, NULL, NULL, '', '2026-11-30 11:34:14.925424+00', NULL);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.calendars VALUES (1, 1, 'ann@scoopjoy.test', 'ud6JWotBLDS2TPvVWyJhbm5Ac2Nvb3Bqb3kudGVzdCIsICJhbm5Ac2Nvb3Bqb3kudGVzdCIsIDQsIHsic2hvd0RlbGV0ZWQiOiB0cnVlLCAibWF4UmVzdWx0cyI6IDI1MDB9LCAxNzk2MDM4NDU0NzEwLCA4XQ=', '563ee5f83bfbd2c6', 'Asia/Kolkata', '2026-11-23 11:34:13+00', '2026-12-30 12:34:13+00', '6be01283ac2d5f27d65d91a62fc11dd4dda2c3c2f5e75c1f11aa6a91a0e3b4ed', 3, 3, NULL, 'asked', NULL, 0, false, NULL, 0, 3, 'ok', '', '', '2026-11-30 11:34:11.787161+00', 0, NULL, '2026-11-30 11:34:14.846177+00', '2026-11-30 11:34:14.268874+00', '2026-11-30 12:01:25.487405+00', '2026-12-01 11:37:30.03921+00', true, NULL, 0, false);
INSERT INTO public.calendars VALUES (2, 2, 'bob@scoopjoy.test', 'eFa__HHhxLzyj5OeWyJib2JAc2Nvb3Bqb3kudGVzdCIsICJib2JAc2Nvb3Bqb3kudGVzdCIsIDMsIHsic2hvd0RlbGV0ZWQiOiB0cnVlLCAibWF4UmVzdWx0cyI6IDI1MDB9LCAxNzk2MDM4NDUzNTk1LCA2XQ=', '563ee5f83bfbd2c6', 'Asia/Kolkata', '2026-11-23 11:34:12+00', '2026-12-30 12:34:12+00', 'c9549f77530816bfc48a156d723de59ff05cb0a8069be4b0e8ad07cb927af321', 2, 2, NULL, 'channel', NULL, 0, false, NULL, 0, 1, 'ok', '', '', '2026-11-30 11:34:13.263929+00', 0, NULL, '2026-11-30 11:34:13.62914+00', '2026-11-30 11:34:13.263929+00', '2026-11-30 12:06:19.195129+00', '2026-12-01 11:35:50.300043+00', true, NULL, 0, false);
INSERT INTO public.channels VALUES ('b9d0819c-32fb-4b28-865b-c1d78c9fd259', 1, 'bXg5TFnxw8dgMGwXJ0xf9n7L3dQ', '5e4596422442a223fcfbcdbb3afb3953958c2f149c85b981797a6eb6ed237955', 'live', '2026-11-30 11:34:10.543647+00', '2026-11-30 11:34:10.859774+00', '2026-12-07 11:34:10.841+00', '2026-12-06 07:42:48.436725+00', NULL, NULL, NULL, NULL, '');
INSERT INTO public.channels VALUES ('a5df14bb-5058-4f6a-8a93-f0f92575d262', 2, '9_LkTveHDXqfYBOAbjSXPhpwu4U', 'e5fc24c67c9df9ede7728a08113559eeb165fbf5f8f43c47cc1d1a1629dd6f46', 'live', '2026-11-30 11:34:12.626382+00', '2026-11-30 11:34:12.784044+00', '2026-12-07 11:34:12.761+00', '2026-12-06 03:25:36.15086+00', NULL, NULL, NULL, NULL, '');
INSERT INTO public.counters VALUES ('forged', 3);
INSERT INTO public.invitations VALUES ('cb4e093839714869bc46212bdad956ff', 3, '2026-11-30 11:34:14.925424+00', '2026-12-07 11:34:14.925424+00', NULL);
INSERT INTO public.quarantine VALUES (1, 1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'refused-event', 'ERPNext refused it', '2026-11-30 11:34:14.925424+00', '2026-11-30 11:34:14.925424+00', 1);
INSERT INTO public.runs VALUES (1, 1, 'snapshot', 'connect', '2026-11-30 11:34:11.084142+00', 0.6502648220002811, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, NULL, NULL, '');
INSERT INTO public.runs VALUES (2, 1, 'delta', 'channel', '2026-11-30 11:34:11.977538+00', 0.12687656999969477, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, NULL, NULL, '');
INSERT INTO public.runs VALUES (3, 2, 'snapshot', 'connect', '2026-11-30 11:34:12.900856+00', 0.3329317709994939, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, NULL, NULL, '');
INSERT INTO public.runs VALUES (4, 2, 'delta', 'channel', '2026-11-30 11:34:13.458036+00', 0.14983577200018772, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, NULL, NULL, '');
INSERT INTO public.runs VALUES (5, 1, 'snapshot', 'asked', '2026-11-30 11:34:13.979627+00', 0.2617011639995326, 1, 1, 1, 0, 0, 0, 0, 0, 1, 2, 0.430343, NULL, '');
INSERT INTO public.runs VALUES (6, 1, 'delta', 'asked', '2026-11-30 11:34:14.574324+00', 0.23812283200004458, 1, 1, 0, 0, 0, 1, 0, 0, 1, 2, NULL, NULL, '');
INSERT INTO public.ticks VALUES ('sweep', '2026-11-30 11:34:14.925424+00', '2026-11-30 11:34:14.925424+00', '');
INSERT INTO public.usage VALUES ('minute:29933974:2', 4, '2026-11-30 11:44:12.724652+00');
INSERT INTO public.usage VALUES ('minute:29933974', 10, '2026-11-30 11:44:10.731805+00');
INSERT INTO public.usage VALUES ('minute:29933974:1', 6, '2026-11-30 11:44:10.731805+00');
INSERT INTO public.usage VALUES ('day:2026-11-30', 10, '2027-01-09 11:34:10.731805+00');
SELECT pg_catalog.setval('public.accounts_id_seq', 3, true);
SELECT pg_catalog.setval('public.calendars_id_seq', 2, true);
SELECT pg_catalog.setval('public.notices_id_seq', 1, false);
SELECT pg_catalog.setval('public.quarantine_id_seq', 1, true);
SELECT pg_catalog.setval('public.runs_id_seq', 6, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.calendars
    ADD CONSTRAINT pk_calendars PRIMARY KEY (id);
ALTER TABLE ONLY public.channels
    ADD CONSTRAINT pk_channels PRIMARY KEY (id);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT pk_counters PRIMARY KEY (name);
ALTER TABLE ONLY public.facts
    ADD CONSTRAINT pk_facts PRIMARY KEY (name);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT pk_invitations PRIMARY KEY (id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (name);
ALTER TABLE ONLY public.notices
    ADD CONSTRAINT pk_notices PRIMARY KEY (id);
ALTER TABLE ONLY public.oauth_flows
    ADD CONSTRAINT pk_oauth_flows PRIMARY KEY (state_hash);
ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT pk_quarantine PRIMARY KEY (id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (id);
ALTER TABLE ONLY public.ticks
    ADD CONSTRAINT pk_ticks PRIMARY KEY (name);
ALTER TABLE ONLY public.usage
    ADD CONSTRAINT pk_usage PRIMARY KEY (bucket);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_email UNIQUE (email);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_google_sub UNIQUE (google_sub);
ALTER TABLE ONLY public.calendars
    ADD CONSTRAINT uq_calendars_account_id_google_id UNIQUE (account_id, google_id);
ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT uq_quarantine_calendar_id_sync_key UNIQUE (calendar_id, sync_key);
CREATE INDEX ix_calendars_account_id ON public.calendars USING btree (account_id);
CREATE INDEX ix_calendars_next_poll_at ON public.calendars USING btree (next_poll_at);
CREATE INDEX ix_channels_calendar_id ON public.channels USING btree (calendar_id);
CREATE INDEX ix_channels_state ON public.channels USING btree (state);
CREATE INDEX ix_invitations_account_id ON public.invitations USING btree (account_id);
CREATE INDEX ix_notices_closed_at ON public.notices USING btree (closed_at);
CREATE INDEX ix_notices_group_id ON public.notices USING btree (group_id);
CREATE INDEX ix_runs_calendar_id ON public.runs USING btree (calendar_id);
CREATE INDEX ix_runs_started_at ON public.runs USING btree (started_at);
CREATE INDEX ix_usage_expires_at ON public.usage USING btree (expires_at);
CREATE UNIQUE INDEX uq_notices_key ON public.notices USING btree (key) WHERE (mended_at IS NULL);
ALTER TABLE ONLY public.calendars
    ADD CONSTRAINT fk_calendars_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.channels
    ADD CONSTRAINT fk_channels_calendar_id_calendars FOREIGN KEY (calendar_id) REFERENCES public.calendars(id);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT fk_invitations_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.notices
    ADD CONSTRAINT fk_notices_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.notices
    ADD CONSTRAINT fk_notices_group_id_notices FOREIGN KEY (group_id) REFERENCES public.notices(id);
ALTER TABLE ONLY public.oauth_flows
    ADD CONSTRAINT fk_oauth_flows_invitation_id_invitations FOREIGN KEY (invitation_id) REFERENCES public.invitations(id);
ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT fk_quarantine_calendar_id_calendars FOREIGN KEY (calendar_id) REFERENCES public.calendars(id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT fk_runs_calendar_id_calendars FOREIGN KEY (calendar_id) REFERENCES public.calendars(id);
