"""Made-up secrets, assembled at run time so that no file of this repository appears to hold one."""

import random
import string

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"


def random_text(count: int, alphabet: str = _LETTERS_AND_DIGITS, seed: int = 7) -> str:
    """`count` random characters, the same on every run."""
    return "".join(random.Random(f"{seed}{alphabet}{count}").choices(alphabet, k=count))


def _pem(kind: str) -> str:
    body = "\n".join(random_text(64, _LETTERS_AND_DIGITS + "+/", seed) for seed in range(6))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


def _pgp() -> str:
    body = random_text(64, _LETTERS_AND_DIGITS + "+/")
    return f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{body}\n-----END PGP PRIVATE KEY BLOCK-----"


AWS_KEY = "AKIA" + random_text(16, string.ascii_uppercase + "234567")

SECRETS: dict[str, tuple[str, ...]] = {
    "anthropic-key": ("sk-ant-" + "api03-" + random_text(93) + "AA", "sk-ant-" + "admin01-" + random_text(93) + "AA"),
    "openai-key": ("sk-" + "proj-" + random_text(74), "sk-" + random_text(20) + "T3Blbk" + "FJ" + random_text(20)),
    "sk-key": ("sk-" + random_text(32, _HEX),),
    "cerebras-key": ("csk-" + random_text(48, string.ascii_lowercase + string.digits),),
    "groq-key": ("gsk_" + random_text(52),),
    "huggingface-token": ("hf_" + random_text(34),),
    "aws-access-key": (AWS_KEY, "ASIA" + random_text(16, string.ascii_uppercase)),
    "aws-secret-key": (
        f'aws_secret_access_key = "{random_text(40)}"',
        f"AWS_SECRET_ACCESS_KEY={random_text(40)}",
        f'"SecretAccessKey": "{random_text(40)}"',
    ),
    "google-api-key": ("AIza" + random_text(35),),
    "google-oauth-secret": ("GOCSPX-" + random_text(28),),
    "azure-client-secret": (random_text(3) + "8Q~" + random_text(34),),
    "azure-account-key": (f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={random_text(86)}==",),
    "digitalocean-token": ("dop_v1_" + random_text(64, _HEX),),
    "vault-token": ("hvs." + random_text(90),),
    "databricks-token": ("dapi" + random_text(32, _HEX),),
    "github-token": (
        "ghp_" + random_text(36),
        "gho_" + random_text(36),
        "github_" + "pat_" + random_text(22) + "_" + random_text(59),
    ),
    "gitlab-token": ("glpat-" + random_text(20), "glrt-" + random_text(20)),
    "npm-token": ("npm_" + random_text(36),),
    "npm-auth-token": (f"//npm.example.com/:_auth{'Token'}={random_text(36, _HEX)}",),
    "pypi-token": ("pypi-" + "AgEIcHlwaS5vcmc" + random_text(120),),
    "rubygems-key": ("rubygems_" + random_text(48, _HEX),),
    "docker-token": ("dckr_" + "pat_" + random_text(27),),
    "slack-token": ("xoxb-" + f"{random_text(12, string.digits)}-{random_text(12, string.digits)}-{random_text(24)}",),
    "slack-webhook": (
        "https://hooks.slack.com/" + "services/T" + random_text(8) + "/B" + random_text(8) + "/" + random_text(24),
    ),
    "stripe-key": ("sk_" + "live_" + random_text(24), "rk_" + "live_" + random_text(24)),
    "sendgrid-key": ("SG." + random_text(22) + "." + random_text(43),),
    "twilio-key": ("SK" + random_text(32, _HEX),),
    "telegram-bot-token": (random_text(10, "123456789") + ":AA" + random_text(33),),
    "shopify-token": ("shpat_" + random_text(32, _HEX),),
    "private-key": (
        _pem("RSA PRIVATE KEY"),
        _pem("OPENSSH PRIVATE KEY"),
        _pem("PRIVATE KEY"),
        _pem("PRIVATE KEY").replace("\n", "\nE   "),
        _pem("PRIVATE KEY").replace("\n", "\nE     - "),
        _pgp(),
        '{"private_key": "' + _pem("PRIVATE KEY").replace("\n", "\\n") + '"}',
        f'KEY = (\n    "-----BEGIN EC PRIVATE KEY-----\\n"\n    "{random_text(64)}\\n"\n)',
    ),
    "age-secret-key": ("AGE-SECRET-" + "KEY-1" + random_text(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),),
    "json-web-token": (f"eyJ{random_text(40)}.eyJ{random_text(80)}.{random_text(43)}",),
    "url-password": (
        "postgres://app:" + "s3cr3t-9-Kp@db.internal:5432/app",
        "https://deploy:" + random_text(20) + "@git.example.com/a.git",
        "redis://:" + "Zk9-vbQ2x@cache:6379/0",
        "amqp://app:" + "violetanchor" + "lantern@queue/",
    ),
    "authorization-header": (
        f'"Authorization": "Bearer {random_text(40)}"',
        f"Authorization: Basic {random_text(24)}==",
    ),
    "password": (
        'password = "Tr0ub4' + 'dor&3"',
        "DB_PASSWORD=Xk29" + "fLq81z",
        '{"password": "kQ7' + '!mnV2x"}',
        "password: hunter2" + "-Mango7",
        'String dbPassword = "v8R' + '$kk29Lm";',
        'connect(user="a", passwd="9fjK' + '2mmQ7")',
        'if password == "Op3n' + 'Ses4me!":',
        "<password>qP4" + "zz81_Lk</password>",
        'config["password"] = "g7K' + '2-pLw9"',
        'password: str = "g7K' + '2-pLw9"',
    ),
    "secret-assignment": (
        f'api_key = "{random_text(32)}"',
        f"SECRET_KEY={random_text(50, _HEX)}",
        f'"client_secret": "{random_text(40)}"',
        f"token: {random_text(40, _HEX)}",
        f'const authToken = "{random_text(24)}";',
        f"export DATADOG_API_KEY={random_text(32, _HEX)}",
        "ACCESS_TOKEN=" + "9" + random_text(20) + "." + random_text(20),
    ),
}
"""Secrets that must be found, by the kind they are reported as."""

HARMLESS = (
    'password = "changeme"',
    'password = "password123"',
    'password = os.environ["DB_PASSWORD"]',
    "password = getpass.getpass()",
    'password = "<your-password>"',
    'password = "Password1!a"',
    'password = "${DB_PASSWORD_2}/x"',
    "password: ${DB_PASSWORD}",
    "PASSWORD=$(cat /run/secrets/password)",
    'password = "{{ vault_password }}"',
    "password: Optional[str] = None",
    "def login(user, password=DEFAULT_PASSWORD_2): ...",
    "raise ValueError('password must have 8 characters')",
    'PASSWORD_RESET_URL = "/accounts/reset/1/"',
    'api_key = "your-api-key-here"',
    'api_key = os.environ["X"]',
    'api_key="sk-ant-..."',
    'api_key = "test-key-a1b2c3d4"',
    'api_key = "9f8a7c6d...4b3a2f1c0e"',
    "ANTHROPIC_API_KEY=sk-ant-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "export OPENAI_API_KEY=sk-proj-XXXXXXXXXXXXXXXXXXXXXXXXXXXX",
    "<your-key>",
    'tokenizer = "gpt2-medium-v1.5"',
    "token = self.next_token_of_line_2(source)",
    'token_type = "application/x-www-form-urlencoded"',
    'model_token = "claude-sonnet-5-5-2026-10-01"',
    "secret = derive_secret_from_passphrase_v2(master)",
    'SECRET_NAME = "projects/my-project/secrets/db"',
    'if "-----BEGIN PRIVATE KEY-----" in text:',
    'HEADER = "-----BEGIN PUBLIC KEY-----"',
    "postgres://user:password@localhost/db",
    "postgres://postgres:postgres@localhost:5432/postgres",
    "https://{user}:{password}@example.com",
    "https://$USER:$TOKEN@github.com/a/b.git",
    "http://localhost:8080/a@b",
    "Authorization: Bearer <token>",
    "headers = {'Authorization': f'Bearer {token}'}",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    'uuid = "123e4567-e89b-12d3-a456-426614174000"',
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    '"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="',
    "The token limit is 200000 tokens; the password policy wants 12 characters.",
    'csrf_token = "{% csrf_token %}"',
    'password_field = driver.find_element("id", "password-input-1")',
)
"""Texts that must not be reported as secrets."""
