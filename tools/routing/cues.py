"""Words that indicate a task's difficulty, in one table per kind.

Technical terms in English, and the most common ones in the languages that users most often write in, so that
in those a rename is at least told from a system. `lexicon.py` defines the syntax of cues.
"""

from .lexicon import Lexicon

LEXICON = Lexicon(
    {
        # A mistake of a few characters.
        "misspelling": """
            typo, typos, missing semicolon, missing comma, missing period, missing bracket, missing colon, misspel*,
            spelling mistake, spelling error, spelling of, fix the spelling, fix spelling, grammar mistake,
            grammar in, tippfehler*, rechtschreib*, schreibfehler, faute de frappe, fautes de frappe, coquille*,
            orthographe, errata*, ortograf*, error tipográfico, erro de digitação, refuso, refusi, опечатк*, 拼写,
            错别字, 誤字, タイポ, 오타
        """,
        # A mechanical change; in a bug report these words mean something else.
        "mechanical": """
            rename, renames, renaming, variable name, trailing newline, blank line, better name, occurrence of,
            occurrences of, the grammar of, quotes for, quotes to, button text, reformat*, reindent*, re indent,
            indentation, trailing whitespace, trailing comma, whitespace, sort the import, sort import,
            sort all import, alphabetize, alphabetically, unused import, unused variable, capitaliz*, capitalis*,
            lowercase the, uppercase the, bump, tabs to spaces, spaces to tabs, copyright year, wording,
            change the label, change the text, change the title, change the color, change the colour, line length,
            change the name of, change the default, change the timeout, change the port, version number,
            the version to, commented out, print statement, console log, one liner, run black, run prettier,
            with prettier, with black, broken link, umbenenn*, benenne, formatiere, einrückung, renomme*, reformate*,
            indente*, renombra*, cambia el nombre, formatea, sangría, renomeie, renomear, rinomina*, переимен*,
            отформатир*, 重命名, 改名, 格式化, 缩进, リネーム, 名前を変, インデント, 이름을 바꿔, 이름을 변경
        """,
        # Something is created, so a mechanical verb nearby describes the product, not the task.
        "creating": """
            write a, write an, write me, write the, write code, implement, implements, implementing, build a,
            build an, build me, create a, create an, develop a, develop an, develop the, generate a, make a, make an,
            add a function, add a method, add an endpoint, add support, schreib*, implementier*, erstelle, écris,
            écrire, implémente*, crée*, escrib*, implementa*, crea una, crea un, escreva, crie, scrivi, напиш*,
            реализу*, создай, 编写, 实现, 写一个, 创建, 書いて, 実装, 作成, 작성, 구현
        """,
        # A design or plan for something as a whole.
        "designing": """
            the design of, a design for, lay out a, lay out the, think through, draw up, outline a, outline the,
            design a, design an, design the, design our, design how, design and, design for, design me, you design,
            we design, to design, designing, redesign, architect a, architect an, architect the, architecting,
            architecture for, architecture of, system design, propose an architecture, propose a design,
            come up with a design, plan the, plan a migration, plan how, migrate our, migrate the, migrate from,
            migration plan, migration from, migration of, break up, break the monolith, split the monolith,
            split our monolith, decompose, blueprint, sketch, how should we structure, how would you structure,
            how would you build, how would you design, how should we build, entwirf, entwerf*, konzipier*, konzept,
            architektur, conçois, concevez, concevoir, architecture, diseñ*, arquitectura, arquitetura, projete,
            progetta*, спроектир*, проектир*, архитектур*, 设计, 架构, 設計, アーキテクチャ, 설계
        """,
        # Components and properties of systems of several processes.
        "system": """
            message queue, task queue, job queue, work queue, a queue, queues, broker, kafka, rabbitmq, nats,
            kubernetes, pub sub, pubsub, event driven, event sourc*, cqrs, outbox, load balanc*, gateway, failover,
            highly available, high availability, fault toleran*, scalab*, scales, scale to, autoscal*, cluster*,
            service mesh, orchestrat*, pipeline, streaming, real time, data center, datacenter, zero downtime,
            without downtime, rollback, idempoten*, exactly once, at least once, eventual*, consisten*, replica*,
            partition*, backend, platform, infrastructure, saga, two phase, rate limit*, warehouse, ingest*,
            observab*, disaster, monolith*, database, databases, redis, postgres*, service, offline, sync*,
            throughput, millions, billion*, dienst*, warteschlange*, datenbank*, file d, base de données, cola,
            colas, base de datos, очеред*, баз*, 队列, 数据库, 消息, キュー, データベース, 대기열, 데이터베이스
        """,
        # Terms that always mean several services or machines.
        "distributed": """
            microservice*, micro services, services, multi service, multiservice, distribu*, shard*, consensus, raft,
            paxos, multi region, multi tenant, multitenant, multi datacenter, geo replicat*, cross region,
            across regions, several regions, peer to peer, microservic*, verteilt*, mehrere dienst*, répart*,
            distribuíd*, servicios, serviços, servizi, микросервис*, распредел*, сервисов, 微服务, 分布式,
            マイクロサービス, 分散, 마이크로서비스, 분산
        """,
        # Large parts of a project.
        "wide_scope": """
            codebase, code base, across the, everything, entire, whole, repository, whole project, entire project,
            every file, all files, project wide, everywhere, all modules, every module, all endpoints,
            every endpoint, all tests, multiple files, several files, end to end, whole application,
            entire application, legacy, full stack, frontend and, from scratch
        """,
        # A part larger than a function.
        "some_scope": """
            module, modules, package, subsystem, component, components, library, layer, parser, handler, middleware,
            plugin*, client, controller, pipeline, endpoint*, workflow, framework, application, api, database,
            schema, model, session*, cache, caching, modul, modulo, módulo, модул*, 模块, モジュール, 모듈
        """,
        # Products that are a project in themselves.
        "substantial": """
            compiler, interpreter, transpiler, kernel*, driver, device driver, emulator, operating system, web app,
            web application, mobile app, full stack, neural network, machine learning, game engine, physics engine,
            rendering engine, search engine, query planner, query optimizer, protocol, raft, paxos, consensus,
            type system, type checker, virtual machine, garbage collector, database engine, dashboard, editor,
            upgrade*, migrat*, line codebase, k line, k lines, thousand lines
        """,
        # Speed or memory matters.
        "performance": """
            performan*, latency, throughput, fast enough, efficient*, optimi*, memory usage, memory leak,
            leaks memory, scales, large files, millions, big o, constant time, linear time, logarithmic,
            without loading, effizient*, efficace*, eficien*, 性能, 高效, パフォーマンス, 성능
        """,
        # Several activities at the same time.
        "concurrency": """
            concurren*, thread*, race condition, race, races, deadlock*, lock free, mutex, locks, locking, parallel*,
            async*, goroutine*, atomic*, transaction*, interleav*, cancel*, backpressure, nebenläufig*, concurrenc*,
            concorren*, параллел*, поток*, 并发, 线程, 死锁, 並行, スレッド, 동시성, 스레드
        """,
        # Protection against attackers.
        "security": """
            secur*, encrypt*, authent*, authoriz*, authoris*, oauth*, jwt, vulnerab*, injection, sandbox*,
            permission*, cryptograph*, credential*, csrf, xss, rbac, tls, verschlüssel*, sicherheit*, sécuri*,
            segurid*, seguran*, безопасн*, 安全, 加密, セキュリティ, 暗号, 보안
        """,
        # Robustness, and faults that are hard to reproduce.
        "integrity": """
            backward*, compatib*, regression*, edge case*, corner case*, migrat*, consisten*, recover*, retry,
            retries, rollback, idempoten*, stateful, error handling, timeout*, precision, overflow, unicode,
            time zone*, timezone*, intermittent*, sometimes, flaky, randomly, occasionally, only in production,
            root cause, heisenbug
        """,
        # Conditions that the result has to meet.
        "requirements": """
            must, should, shall, ensure, make sure, without, at least, at most, unless, except, handle, handles,
            handling, support, supports, supporting, validat*, require*, respect*, including, also, both,
            configurable, optional*, guarantee*, exactly, only if, plus, muss, müssen, soll, ohne, doit, doivent,
            sans, debe, deben, sin, deve, должен, должна, без, 必须, 需要, 不能, 必要, 해야
        """,
        # Exercises and tools that need a difficult algorithm.
        "algorithms": """
            dynamic programming, shortest, longest, minimum, maximum, minimi*, maximi*, optimal, subsequence*,
            subarray*, permutation*, combination*, number of ways, how many ways, lexicographical*, modulo,
            backtracking, topological*, recursive*, recursion, knapsack, convex, segment tree, trie, heap,
            priority queue, union find, binary search, bitmask, flow network, spanning tree, matching,
            expected value, probability, prime*, palindrom*, parse, parser, parsing, a grammar, context free,
            tokeniz*, lexer, compiler, interpreter, regular expression engine, type checker, garbage collect*,
            scheduler, constraint solver, sudoku, np hard, simulat*, numerical*, matrix, interpolat*, gradient,
            fourier, hash table, b tree, red black, lru, bloom filter, crdt, diff algorithm, 动态规划, 最短, 最长,
            最小, 最大, 解析, 最長, 動的計画
        """,
        # Networks, trees, grids.
        "graphs": """
            graph, graphs, edges, edge, vertex, vertices, nodes, tree, trees, undirected, directed, cycle*,
            connected, path, paths, grid, reachable, traversal
        """,
        # Typical of exercises in combinatorics and optimisation.
        "counting": """
            modulo, queries, query, operations, choose, chosen, possible, distinct, sequence, sequences, pairs, cost,
            sum of, total, answer may be, very large, satisf*, numbered, th, each i, ways, inclusive
        """,
        # Typical of exercises whose result is yes, no or a string.
        "deciding": """
            true if, false otherwise, yes if, otherwise no, return true, print yes, lowercase english letters,
            english letters, digits, a string, the string, of a list, in a list, of two numbers, hello world
        """,
    }
)
