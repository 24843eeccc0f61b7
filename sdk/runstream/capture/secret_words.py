"""The words by which names are told apart. Our own lists; `secret_names` says what each is for."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Anywhere in a word of the name.
STRONG_PARTS: Final = (
    *("passwd", "password", "passphrase", "passcode", "passwort", "kennwort", "contrasen", "contraseñ", "senha"),
    *(
        "secret",
        "credential",
        "psswd",
        "passwrd",
        "apikey",
        "privatekey",
        "privkey",
        "accesskey",
        "signingkey",
        "encryptionkey",
        "пароль",
    ),
)
#: Words that hold one of those, and others that end like one.
NO_SECRET_WORDS: Final = _words("""
    secretary secretaries secretariat secretion secretions secretory monkey monkeys turkey donkey hockey jockey whiskey
    disney passwordless nopassword nosecret keykey
""")
#: The last word says that the value is something about the secret.
HARMLESS_TAILS: Final = _words("""
    path paths file files filename dir directory folder name names type types kind mode method methods scheme uri url
    urls endpoint host hosts hostname port server provider backend class cls module id ids idx index len length lengths
    size sizes dim dims count counts num number limit limits max min rate ratio rates prob probability loss losses
    weight weights acc accuracy score scores embedding embeddings embed emb embedder layer layers head heads pool
    pooling mask masks masking masked drop dropout level levels strategy policy policies enabled enable disabled
    required optional expiry expires expiration ttl timeout age env var variable variables field fields column col
    format encoding alphabet charset regex pattern schema version budget window stride offset position positions order
    frequency shift second seconds hours days usage used price cost throughput speed penalty set vocab vocabulary space
    group groups split sampler sampling selection selector classification classifier recognition label labels dataset
    data model encoder decoder processor manager store vault arn alias scope scopes domain realm audience issuer hint
    prefix suffix separator delimiter template user username login email region cache caching reuse rotation sharing
    filter filters fn function func callback callbacks cls_name date time at
""")
#: A flag about a secret, not one: `--use-auth`, `--no-password`.
FLAG_HEADS: Final = _words("""
    use no has have require requires required enable enabled disable with without show ask prompt check skip allow
    ignore is need needs insecure num n max min total avg mean
""")
#: Tokens of language models and the like.
LANGUAGE_TOKENS: Final = _words("""
    pad padding bos eos sep cls mask unk special start end begin stop next prev image img vision video audio text word
    sub subword think thinking decoder encoder trigger placeholder initializer initialiser instance patch prompt new
    ignore input output target first last visual speech tool sentinel class distillation dist register memory latent
    object query learned learnable virtual soft reward control language lang unknown blank separator boundary additional
    added extra forced suppress bad vocab context generated completion train training eval test valid val pos register
    cached kv draft speculative routed expert dummy null fake time frame action state modality space newline line by
    concept subject identifier rare cat char character reg summary global local label entity source src tgt anchor
""")
COUNTED: Final = _words("""
    max min num n nb number total avg mean average sum count counts per warmup budget seen processed consumed batch
    decay limit billion million tot every of thousand trained
""")
TOKEN_OWNERS: Final = _words("""
    hf huggingface hub github gitlab gh gl git slack wandb neptune comet clearml mlflow dagshub aws azure gcp google
    openai anthropic npm pypi docker registry api access auth oauth refresh bearer user admin bot app csrf xsrf session
    personal private deploy ci service security sas jwt vault consul discord telegram kaggle modal replicate runstream
    databricks snowflake notion jira sentry datadog grafana influx influxdb telemetry mlops client secret login id
    account upload publish pat runner kube kubernetes k8s cluster job identity aad spn twilio stripe x
""")
#: After `token` or `auth`: still the value itself.
TOKEN_FOLLOWERS: Final = _words("""
    value header headers key code cookie secret string str prod production dev staging stage live main primary
    secondary backup old v b a c base raw plain info data default read write ro rw
""")
KEY_OWNERS_STRONG: Final = _words("""
    api secret private priv access encryption encrypt decryption decrypt signing hmac aes rsa ssh gpg pgp jwt apikey
    secretaccess
""")
KEY_OWNERS: Final = _words("""
    auth account service master deploy license licence app application consumer subscription storage admin webhook
    crypto client wandb comet neptune clearml openai anthropic aws azure hf huggingface google gemini mistral cohere
    groq replicate pinecone sendgrid stripe twilio datadog dd sentry mailgun slack github gitlab root session user
    sharedaccess webhooks write ingest upload kaggle runstream serpapi tavily
""")
#: Keys of dictionaries, tables, random numbers, keyboards, attention.
HARMLESS_KEYS: Final = _words("""
    experiment project run trial primary foreign sort group partition cache dict map join index prng rng random seed
    state metric monitor dataset batch image label feature query public row column obj object s3 bucket config param
    hash lookup target input output text audio video field attr attribute item log step loss best checkpoint model
    module layer unique natural composite order sorting grouping registry enter shift arrow hot keyboard pub workspace
    artifact value values attention num max min n per shared sharding
""")
#: What passes, but is no password.
NO_PASS: Final = _words("""
    bypass compass trespass highpass lowpass bandpass allpass onepass twopass multipass forwardpass backwardpass
    overpass underpass surpass encompass singlepass firstpass secondpass impass autopass
""")
NO_PASS_BEFORE: Final = _words("""
    high low band all forward backward first second third single two multi num n per max min early one final pre post
    each every is did does must will test tests to by fwd bwd compiler compile opt optimization last next current data
    train training eval
""")
#: Of models, renderers and optimizers: described in plain words.
PASSES: Final = _words("""
    attn attention lr clip depth render encoder decoder gradient grad hmc shadow light color normal mlp conv norm
    sampling sample noise denoise refine refinement coarse fine shading geometry update merge model
""")
NO_PATTERN_BEFORE: Final = _words("file glob re regex name match include exclude path search ignore filter dir key url")
#: Values that say how, or that there is none.
METHODS: Final = _words("""
    basic bearer digest oauth oauth2 token tokens key iam kerberos ntlm gssapi sasl plain optional anonymous public
    default auto env environment keyring prompt netrc cls mean max avg first last all word char subword bpe wordpiece
    sentencepiece spatial channel learned
""")
EMPTY_VALUES: Final = frozenset(
    {"", "none", "null", "nil", "true", "false", "yes", "no", "on", "off", "nan", "undefined", "(hidden)", "disabled"}
    | {"enabled", "required"}
)
