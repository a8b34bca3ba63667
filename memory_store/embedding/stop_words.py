"""Words with little meaning in programming tasks: grammar, politeness and common opening words."""

STOP_WORDS = frozenset(
    """
    a an the this that these those it its he she they them their theirs his her hers we us our ours you your yours
    i me my mine one ones who whom whose which what where when why how
    and or but nor if then else than so as because while though although unless until
    of to in on at by for from with without into onto within about between over under after before during through
    up down out off again against upon per via
    is are was were be been being am do does did done doing have has had having can could shall should will would
    may might must ought let lets get gets got
    not no yes only just also too very more most much many some any all each every both either neither few other
    another such same own here there now
    please kindly thanks thank hello hi hey dear welcome want need like wish help sure
    use used uses using make makes made give gives gave given take takes write create implement add provide
    following follow follows below above
    don doesn didn isn aren wasn weren won wouldn couldn shouldn ll ve re
    """.split()  # noqa: SIM905 - as a list it would fill a screen
)
